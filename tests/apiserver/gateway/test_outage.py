"""The gateway without an API server: one that refuses, one that never answers; and its own start and end."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.cluster.handle import Cluster
from tests.cluster.locations import CHECKOUT
from tests.support.entities import entity
from tests.support.gateway_process import GatewayProcess, start_gateway
from tests.support.server_client import Reply, ServerClient


@contextmanager
def _gateway_at(address: str, bed: Cluster, folder: Path) -> Iterator[GatewayProcess]:
    content = yaml.safe_load(bed.kubeconfig.read_text())
    for cluster in content["clusters"]:
        cluster["cluster"]["server"] = address
    kubeconfig = folder / "elsewhere"
    kubeconfig.write_text(yaml.safe_dump(content))
    options = {"settings": folder / "settings.yaml", "credentials": folder / "credentials"}
    with start_gateway(folder, kubeconfig=kubeconfig, namespace="default", **options) as gateway:
        yield gateway


def _assert_outage(gateway: GatewayProcess, *, bound: float) -> None:
    server = ServerClient.old(gateway.port)
    calls: list[Callable[[], Reply]] = [
        lambda: server.deploy(entity()), lambda: server.trigger("a"), lambda: server.queued("a"),
        lambda: server.logs("a"), lambda: server.kill("a"), lambda: server.delete("a"),
    ]  # fmt: skip
    for call in calls:
        begin = time.monotonic()
        assert call().code == 503
        assert time.monotonic() - begin < bound
        begin = time.monotonic()
        assert server.read("health-auth").json["version"] == "2.0.6.0"
        assert time.monotonic() - begin < 1
    server.close()
    assert gateway.manage("/livez")[0] == gateway.manage("/readyz")[0] == 200
    code, text = gateway.manage("/status")
    assert code == 503
    assert "cannot be reached" in text


def test_an_api_server_that_refuses_is_a_503_at_once(bed: Cluster, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _gateway_at(f"https://127.0.0.1:{port}", bed, folder) as gateway:
        _assert_outage(gateway, bound=3)


def test_an_api_server_that_never_answers_is_a_503_within_the_bound(bed: Cluster, folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        _gateway_at(f"https://127.0.0.1:{silent.getsockname()[1]}", bed, folder) as gateway,
    ):
        _assert_outage(gateway, bound=16)


def test_sigterm_ends_the_gateway_in_order(bed: Cluster, folder: Path) -> None:
    with _gateway_at("https://127.0.0.1:1", bed, folder) as gateway:
        begin = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - begin < 5
        assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"settings": "absent.yaml"}, 1, "settings file absent.yaml cannot be read"),
        ({"credentials": "absent"}, 1, "credentials folder absent: No such file"),
        ({"credentials": "empty"}, 1, "mount the Secret there"),
        ({"tls-cert": "x"}, 2, "give --tls-cert and --tls-key together"),
        ({"tls-cert": "x", "tls-key": "y"}, 1, "certificate x with key y"),
    ],
)
def test_what_is_missing_at_start_is_named(
    bed: Cluster, folder: Path, changes: dict[str, str], code: int, said: str
) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    options = {
        "settings": "settings.yaml",
        "credentials": "credentials",
        "namespace": "default",
        "kubeconfig": str(bed.kubeconfig),
        **changes,
    }
    done = subprocess.run(
        [sys.executable, "-m", "ingestion_operator.gateway", *(f"--{key}={value}" for key, value in options.items())],
        cwd=folder,
        env={"PYTHONPATH": str(CHECKOUT / "operator")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
