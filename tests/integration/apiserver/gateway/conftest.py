"""The gateway's ServiceAccount and Role from manifests/, in the namespace of the test module."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing.fault_proxy import FaultProxy
from testing.gateway import write_credentials
from testing.gateway_process import GatewayProcess, start_gateway, write_account_kubeconfig

SETTINGS = {
    "runnerImages": {"2.0": {"image": "localhost/pause:1", "version": "2.0.6.0"}},
    "defaultServerVersion": "2.0",
}


class StartGateway(Protocol):
    """Runs a gateway until the block ends."""

    def __call__(self, *, kubeconfig: Path) -> AbstractContextManager[GatewayProcess]: ...


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """The objects of manifests/gateway.yaml."""
    return list(yaml.safe_load_all((CHECKOUT / "manifests" / "gateway.yaml").read_text()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings, credentials and logs."""
    made = tmp_path_factory.mktemp("gateway")
    (made / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
    write_credentials(made / "credentials", plain=("admin", "secret"))
    return made


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """The credentials of the gateway's ServiceAccount, which has the Role of manifests/ and nothing else."""
    return write_account_kubeconfig(cluster, namespace, folder / "kubeconfig")


@pytest.fixture(scope="module")
def start(namespace: str, folder: Path) -> StartGateway:
    """Start a gateway for the namespace; takes the kubeconfig."""
    return partial(
        start_gateway,
        folder,
        namespace=namespace,
        settings=folder / "settings.yaml",
        credentials=folder / "credentials",
    )


@pytest.fixture(scope="module")
def replicas(start: StartGateway, kubeconfig: Path) -> Iterator[tuple[GatewayProcess, GatewayProcess]]:
    """Two gateways for one namespace."""
    with start(kubeconfig=kubeconfig) as one, start(kubeconfig=kubeconfig) as two:
        yield one, two


@pytest.fixture(scope="module")
def faults(kubeconfig: Path) -> Iterator[FaultProxy]:
    """A proxy in front of the API server."""
    with FaultProxy(kubeconfig) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def proxied(start: StartGateway, faults: FaultProxy, folder: Path) -> Iterator[GatewayProcess]:
    """A gateway that reaches the API server through the proxy alone."""
    with start(kubeconfig=faults.write_kubeconfig(folder / "proxied")) as gateway:
        yield gateway
