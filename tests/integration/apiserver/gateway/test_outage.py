"""The gateway without an API server: one that refuses, never answers, goes and returns; its own start and end."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.gateway.bounded_executor import THREADS
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing.entities import entity
from testing.fault_proxy import Fault, FaultProxy, Rule
from testing.fault_rules import collection
from testing.gateway_process import GatewayProcess, start_gateway
from testing.pipeline_state import own_entity, state_of
from testing.server_client import Reply, ServerClient
from testing.waiting import wait_for

RUN: Final = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
CALLS: Final[tuple[Callable[[ServerClient], Reply], ...]] = (
    lambda server: server.deploy(entity()),
    lambda server: server.trigger("a"),
    lambda server: server.enable("a"),
    lambda server: server.disable("a"),
    lambda server: server.queued("a"),
    lambda server: server.logs("a"),
    lambda server: server.kill("a"),
    lambda server: server.delete("a"),
)


@contextmanager
def _gateway_at(address: str, cluster: Cluster, folder: Path) -> Iterator[GatewayProcess]:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    for entry in content["clusters"]:
        entry["cluster"]["server"] = address
    kubeconfig = folder / "elsewhere"
    kubeconfig.write_text(yaml.safe_dump(content))
    with start_gateway(
        folder,
        kubeconfig=kubeconfig,
        namespace="default",
        settings=folder / "settings.yaml",
        credentials=folder / "credentials",
    ) as gateway:
        yield gateway


def _assert_healthy_at_once(server: ServerClient) -> None:
    begin = time.monotonic()
    assert server.read("health-auth").json["version"] == "2.0.6.0"
    assert time.monotonic() - begin < 1


def _assert_outage(gateway: GatewayProcess, *, bound: float) -> None:
    server = ServerClient.old(gateway.port)
    for call in CALLS:
        begin = time.monotonic()
        assert call(server).code == 503
        assert time.monotonic() - begin < bound
        _assert_healthy_at_once(server)
    server.close()
    assert gateway.manage("/livez")[0] == gateway.manage("/readyz")[0] == 200
    code, text = gateway.manage("/status")
    assert code == 503
    assert "cannot be reached" in text


def test_an_api_server_that_refuses_is_a_503_at_once(cluster: Cluster, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _gateway_at(f"https://127.0.0.1:{port}", cluster, folder) as gateway:
        _assert_outage(gateway, bound=3)


def test_a_silent_api_server_is_a_503_within_the_bound(cluster: Cluster, folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        _gateway_at(f"https://127.0.0.1:{silent.getsockname()[1]}", cluster, folder) as gateway,
    ):
        _assert_outage(gateway, bound=16)


def test_health_is_immediate_while_all_threads_hang(proxied: GatewayProcess, faults: FaultProxy) -> None:
    def call(number: int) -> tuple[int, float]:
        server = ServerClient.old(proxied.port)
        begin = time.monotonic()
        code = CALLS[number % len(CALLS)](server).code
        server.close()
        return code, time.monotonic() - begin

    silence = Rule(Fault("cut", delay=60), times=None)
    server = ServerClient.old(proxied.port)
    with faults.failing(silence), ThreadPoolExecutor(THREADS + 8) as pool:
        hanging = [pool.submit(call, number) for number in range(THREADS + 8)]
        assert silence.struck.wait(5)
        while not all(future.done() for future in hanging):
            _assert_healthy_at_once(server)
            time.sleep(0.1)
    server.close()
    assert {future.result()[0] for future in hanging} == {503}
    assert max(future.result()[1] for future in hanging) < 16


def test_a_gateway_serves_again_as_soon_as_the_api_server_does(proxied: GatewayProcess, faults: FaultProxy) -> None:
    server = ServerClient.old(proxied.port)
    for _ in range(2):
        with faults.failing(Rule(Fault("cut"), times=None)):
            for call in CALLS:
                assert call(server).code == 503
        assert server.deploy(entity()).message
        assert server.queued("nightly").json == []
        assert server.disable("nightly").message
    server.close()


def test_a_gateway_without_watches_reads_live(
    proxied: GatewayProcess, faults: FaultProxy, replicas: tuple[GatewayProcess, GatewayProcess]
) -> None:
    server, other = ServerClient.old(proxied.port), ServerClient.old(replicas[0].port)
    other.deploy(entity("unwatched"))

    def calls_of_a_status() -> list[str]:
        with faults.recording() as calls:
            assert server.queued("unwatched").code == 200
        return [call.target for call in calls if "watch=true" not in call.target and "limit=500" not in call.target]

    no_watch = Rule(Fault(403), target=collection(only_watches=True), times=None)
    with faults.failing(no_watch, open_streams=True):
        wait_for("reads of the API server", calls_of_a_status, timeout=20)
        assert other.trigger("unwatched", {"pipelineRunId": RUN}).message
        assert [run["runId"] for run in server.queued("unwatched").json] == [RUN]
        assert proxied.manage("/livez")[0] == proxied.manage("/readyz")[0] == 200
    wait_for("the cache again", lambda: not calls_of_a_status(), timeout=30)
    assert [run["runId"] for run in server.queued("unwatched").json] == [RUN]
    server.close()
    other.close()


@pytest.mark.parametrize("write", [1, 2, 3])
def test_the_next_deploy_completes_a_half_done_one(
    proxied: GatewayProcess, faults: FaultProxy, api: KubernetesCluster, namespace: str, write: int
) -> None:
    server = ServerClient.old(proxied.port)
    name, untouched = f"half-done-{write}", f"whole-{write}"
    server.deploy(own_entity(untouched))
    gone = Rule(Fault("cut"), method="POST|PATCH", nth=write, times=None)
    with faults.failing(gone):
        assert server.deploy(own_entity(name)).code == 503
    assert server.deploy(own_entity(name)).message
    assert state_of(api, namespace, name) == state_of(api, namespace, untouched)
    server.close()


def test_sigterm_ends_the_gateway_in_order(cluster: Cluster, folder: Path) -> None:
    with _gateway_at("https://127.0.0.1:1", cluster, folder) as gateway:
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
    cluster: Cluster, folder: Path, changes: dict[str, str], code: int, said: str
) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    options = {
        "settings": "settings.yaml",
        "credentials": "credentials",
        "namespace": "default",
        "kubeconfig": str(cluster.kubeconfig),
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
