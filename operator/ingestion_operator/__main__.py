"""`python -m ingestion_operator`: run the operator."""

import argparse
import logging
import os
import sys
from pathlib import Path

from ingestion_operator import __version__
from ingestion_operator.errors import OperatorError
from ingestion_operator.runtime.gc_tuning import gc_paused
from ingestion_operator.runtime.json_logging import configure_logging

with gc_paused():
    from ingestion_operator.controller.app import run_operator


def main() -> int:
    """Parse the command line, run the operator and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="ingestion-operator", description="Runs OpenMetadata's ingestion pipelines on Kubernetes."
    )
    parser.add_argument("--settings", type=Path, required=True, help="YAML file with runner images and defaults")
    scope = parser.add_mutually_exclusive_group(required=True)
    scope.add_argument("--namespace", action="append", default=[], help="watch this namespace (repeatable)")
    scope.add_argument("--all-namespaces", action="store_true", help="watch the whole cluster")
    parser.add_argument(
        "--kubeconfig",
        default=os.environ.get("KUBECONFIG"),
        help="default: $KUBECONFIG, else the pod's service account",
    )
    parser.add_argument(
        "--liveness",
        help="URL of the liveness probe, such as http://0.0.0.0:8080/healthz; the same port serves /metrics",
    )
    parser.add_argument(
        "--log-format", choices=("json", "text"), default="json", help="format of the log lines (default json)"
    )
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args()
    configure_logging(arguments.log_format)
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it logs each event of each object at INFO
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # one line per probe
    try:
        return run_operator(
            settings_path=arguments.settings,
            namespaces=arguments.namespace,
            kubeconfig=arguments.kubeconfig,
            liveness=arguments.liveness,
        )
    except OperatorError as error:
        print(f"ingestion-operator: {error}", file=sys.stderr)  # noqa: T201  the error message of a command
        return 1


if __name__ == "__main__":
    sys.exit(main())
