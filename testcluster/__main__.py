"""Command line of the test cluster; see ``python -m testcluster --help``."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from testcluster import binaries, prerequisites, provider
from testcluster.errors import TestClusterError
from testcluster.progress import show


def _up(_: argparse.Namespace) -> int:
    cluster = provider.up()
    show(f"the cluster is up; export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(_: argparse.Namespace) -> int:
    show("the cluster is gone" if provider.down() else "this checkout has no cluster")
    return 0


def _status(_: argparse.Namespace) -> int:
    parts = provider.current().status()
    for part in parts:
        print(f"{part.name:<26} {'up' if part.running else 'DOWN':<6} {part.detail}")
    return 0 if all(part.running for part in parts) else 1


def _load(arguments: argparse.Namespace) -> int:
    cluster = provider.current()
    for image in arguments.image:
        archive = Path(image)
        if not archive.is_file():
            raise TestClusterError(
                f"{image} is not a file; for the images of this repository: python -m testcluster.images --load NAME"
            )
        cluster.load(archive)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    log = provider.current().log(arguments.component)
    if not log.exists():
        raise TestClusterError(f"{log} does not exist yet")
    sys.stdout.flush()
    follow = ["-F"] if arguments.follow else []
    os.execvp("tail", ["tail", "-n", str(arguments.lines), *follow, str(log)])  # noqa: S606 - tail takes over


def _kubeconfig(_: argparse.Namespace) -> int:
    print(provider.current().kubeconfig)
    return 0


def _s3_server(_: argparse.Namespace) -> int:
    print(binaries.ensure_s3_server())
    return 0


def _kube_router(_: argparse.Namespace) -> int:
    print(binaries.ensure_kube_router())
    return 0


def _helm(_: argparse.Namespace) -> int:
    folder = binaries.ensure_helm()
    for program in sorted(folder.iterdir()):
        print(program)
    return 0


def _setup(_: argparse.Namespace) -> int:
    if installed := prerequisites.setup():
        show(f"installed {', '.join(installed)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testcluster", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, action: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=what, description=what)
        added.set_defaults(action=action)
        return added

    verb("up", _up, "bring the cluster up, or repair it")
    verb("down", _down, "remove the cluster and everything it left on the machine")
    verb("status", _status, "show the parts of the cluster")
    load = verb("load", _load, "make an image available to pods")
    load.add_argument("image", nargs="+", metavar="ARCHIVE", help="a docker-archive")
    logs = verb("logs", _logs, "show a component's log, or the API server's audit log")
    logs.add_argument("component", help="for example kubelet, or audit")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing new lines")
    logs.add_argument("-n", "--lines", type=int, default=200, help="how many lines (200)")
    verb("kubeconfig", _kubeconfig, "print the path of the cluster's kubeconfig")
    verb("s3-server", _s3_server, "build the S3 server of the tests and print its path")
    verb("kube-router", _kube_router, "build what enforces NetworkPolicies on the built node and print its path")
    verb("helm", _helm, "build helm, helm-unittest and kubeconform and print their paths")
    verb("setup", _setup, "install the Debian packages that are missing; root is needed")
    return parser


def main() -> int:
    """Runs one command; its exit code is the process's."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `status | head` is not an error
    arguments = _parser().parse_args()
    try:
        code: int = arguments.action(arguments)
    except TestClusterError as problem:
        show(f"error: {problem}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
