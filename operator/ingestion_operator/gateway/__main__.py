"""`python -m ingestion_operator.gateway`: run the gateway."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from ingestion_operator import __version__
from ingestion_operator.errors import OperatorError
from ingestion_operator.runtime.gc_tuning import gc_paused
from ingestion_operator.runtime.json_logging import configure_logging

with gc_paused():
    from ingestion_operator.adapters.kube.api_session import ApiSession
    from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
    from ingestion_operator.adapters.kube.pod_logs import KubernetesPodLogs
    from ingestion_operator.adapters.kube.server_clock import ServerClock
    from ingestion_operator.adapters.object_store import ObjectStore
    from ingestion_operator.adapters.system_clock import SystemClock
    from ingestion_operator.adapters.warm_pod_tls import WarmPodTls
    from ingestion_operator.api.settings import Settings, load_settings
    from ingestion_operator.cache import Cache
    from ingestion_operator.gateway.bounded_executor import THREADS
    from ingestion_operator.gateway.certificate import Certificate
    from ingestion_operator.gateway.credentials import Credentials
    from ingestion_operator.gateway.server import Gateway, listen, serve
    from ingestion_operator.pipeline_service import K8sPipelineServiceClient
    from ingestion_operator.pipeline_service.warm_pool import WarmPool
    from ingestion_operator.runtime.settings_file import SettingsFile

_logger = logging.getLogger("ingestion_operator.gateway")

_CALL_SECONDS: Final = (2.0, 5.0)
_CALL_ATTEMPTS: Final = 2
"""A user waits for the response, so calls to the API server have shorter limits than those of the operator."""

_PROBE_SECONDS: Final = (1.0, 2.0)
_STORE_SECONDS: Final = 4.0


def main() -> int:
    """Parse the command line, serve until SIGTERM or SIGINT, and return the exit code."""
    arguments = _parser().parse_args()
    if (arguments.tls_cert is None) is not (arguments.tls_key is None):
        print("ingestion-gateway: give --tls-cert and --tls-key together", file=sys.stderr)  # noqa: T201  logging is not set up yet
        return 2
    configure_logging(arguments.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its INFO lines report each start and end
    try:
        asyncio.run(_serve(arguments))
    except OperatorError as error:
        _logger.error("%s", error)  # noqa: TRY400  the message names the cause
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ingestion-gateway", description="Runs the pipelines of an OpenMetadata server on Kubernetes."
    )
    parser.add_argument("--settings", type=Path, required=True, help="YAML file with runner images and defaults")
    parser.add_argument("--namespace", required=True, help="namespace of the pipelines")
    parser.add_argument(
        "--credentials",
        type=Path,
        required=True,
        help="folder with files `username` and `password`, or several pairs",
    )
    parser.add_argument("--tls-cert", type=Path, help="PEM file with the certificate chain; default: plain HTTP")
    parser.add_argument("--tls-key", type=Path, help="PEM file with the private key")
    parser.add_argument("--port", type=int, default=8080, help="port for OpenMetadata (default %(default)s)")
    parser.add_argument(
        "--management-port",
        type=int,
        default=8081,
        help="for probes and metrics, plain HTTP (default %(default)s)",
    )
    parser.add_argument(
        "--kubeconfig",
        default=os.environ.get("KUBECONFIG"),
        help="kubeconfig file (default: $KUBECONFIG, otherwise the pod's service account)",
    )
    parser.add_argument(
        "--log-format",
        choices=("json", "text"),
        default="json",
        help="format of log lines (default %(default)s)",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    clock = ServerClock(SystemClock())
    session = ApiSession(arguments.kubeconfig, clock=clock)
    gateway = _gateway(arguments, clock, Cache(session, [arguments.namespace]))
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    public, management = listen(arguments.port), listen(arguments.management_port)
    _logger.info("The gateway serves namespace %s on port %d", arguments.namespace, arguments.port)
    try:
        await serve(gateway, public, management, stop)
    finally:
        await session.close()


def _gateway(arguments: argparse.Namespace, clock: ServerClock, cache: Cache) -> Gateway:
    settings = SettingsFile(arguments.settings, load_settings(arguments.settings))
    api = connect(read_configuration(arguments.kubeconfig), pool_size=THREADS)
    cluster = KubernetesCluster(api, timeout_seconds=_CALL_SECONDS, attempts=_CALL_ATTEMPTS, clock=clock)
    pool = WarmPool(cluster, arguments.namespace, settings.current, clock, WarmPodTls())
    service = K8sPipelineServiceClient(
        cluster,
        namespace=arguments.namespace,
        settings=settings.current,
        clock=clock,
        logs=KubernetesPodLogs(api),
        archive=_archive(settings.current()),
        probe=KubernetesCluster(api, timeout_seconds=_PROBE_SECONDS, attempts=1),
        warm_pool=pool,
        store=cache.store,
        is_current=lambda: not (cache.unreadable() or cache.problems()),
        caller="OpenMetadata",
    )
    certificate = Certificate(arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    return Gateway(service, settings.current, Credentials(arguments.credentials), certificate, pool, cache)


def _archive(settings: Settings) -> ObjectStore | None:
    """Return the store of the log archive. It is opened at its first use, so an unreachable store delays no start."""
    if settings.log_archive is None:
        return None
    return ObjectStore(settings.log_archive.url, create=False, request_seconds=_STORE_SECONDS, attempts=_CALL_ATTEMPTS)


if __name__ == "__main__":
    sys.exit(main())
