"""Operator and gateway as processes in a namespace of their own, and what the gateway's figures are taken with."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from benchmarks.admissions import Admissions
from benchmarks.measuring import Measuring
from benchmarks.population import Population
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.api.settings import Settings
from testcluster.handle import Cluster
from testcluster.progress import step
from testing.gateway import write_credentials
from testing.gateway_process import start_gateway, write_account_kubeconfig
from testing.operator_process import start_operator

SETTINGS: Final = {
    "runnerImages": {"2.0": {"image": "localhost/none:1", "version": "2.0.6.0"}},
    "defaultServerVersion": "2.0",
    # A run is to be admitted, not to run: its pod fits no node.
    "podTemplate": {"spec": {"nodeSelector": {"ingestion.openmetadata.org/benchmark": "nowhere"}}},
}


@dataclass(frozen=True)
class Environment:
    """Both programs, and the pipelines beside which they are measured."""

    pids: dict[str, int]
    population: Population
    measuring: Callable[[], Measuring]
    """Returns an empty set of samples."""


def module(name: str, _: str) -> Sequence[str]:
    """Return the arguments of Python for a program's module."""
    return ("-m", name)


@contextmanager
def open_environment(
    cluster: Cluster, namespace: str, program: Callable[[str, str], Sequence[str]] = module
) -> Iterator[Environment]:
    """Start both in a new namespace, which is removed afterwards.

    `program` returns the arguments of Python for a module and the name of its program.
    """
    remove_namespace(cluster, namespace)
    cluster.kubectl("create", "namespace", namespace)
    with ExitStack() as stack:
        stack.callback(remove_namespace, cluster, namespace)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        operator = stack.enter_context(
            start_operator(
                folder,
                kubeconfig=cluster.kubeconfig,
                namespace=namespace,
                settings=settings,
                program=program("ingestion_operator", "operator"),
            )
        )
        gateway = stack.enter_context(
            start_gateway(
                folder,
                kubeconfig=write_account_kubeconfig(cluster, namespace, folder / "kubeconfig"),
                namespace=namespace,
                settings=settings,
                credentials=write_credentials(folder / "credentials", plain=("admin", "secret")),
                program=program("ingestion_operator.gateway", "gateway"),
            )
        )
        kubeconfig = str(cluster.kubeconfig)
        kube = KubernetesCluster(connect(read_configuration(kubeconfig), pool_size=16))
        admissions = stack.enter_context(Admissions(connect(read_configuration(kubeconfig)), namespace))
        yield Environment(
            {"operator": operator.pid, "gateway": gateway.process.pid},
            Population(kube, namespace, Settings.model_validate(SETTINGS)),
            lambda: Measuring(gateway.port, kube, namespace, admissions),
        )


def remove_namespace(cluster: Cluster, namespace: str, seconds: int = 600) -> None:
    """Delete a namespace if it is there, and wait until it is gone."""
    with step(f"deleting namespace {namespace}"):
        timeout = f"--timeout={seconds}s"
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", timeout, timeout=seconds + 20)
