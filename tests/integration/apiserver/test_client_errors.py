"""The operator's client where an API server refuses, is slow or is not there: errors and bounds."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import Configuration

from ingestion_operator.adapters.kube import client as module
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.errors import ClusterError, Forbidden, Unavailable
from ingestion_operator.ports import JOBS, PODS, SECRETS
from ingestion_operator.runtime.backoff import Backoff
from testcluster.handle import Cluster
from testing.config_maps import CONFIG_MAPS, config_map, fresh


@pytest.fixture
def unprivileged(cluster: Cluster, namespace: str) -> KubernetesCluster:
    """A client that is authenticated and may do nothing."""
    configuration = read_configuration(str(cluster.kubeconfig))
    cluster.kubectl("create", "serviceaccount", (name := fresh()), "--namespace", namespace)
    token = cluster.kubectl("create", "token", name, "--namespace", namespace).strip()
    configuration.cert_file = configuration.key_file = None
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return KubernetesCluster(connect(configuration))


def test_an_error_names_the_missing_permission(unprivileged: KubernetesCluster, namespace: str) -> None:
    body = config_map(namespace, "x")
    calls: list[Any] = [
        lambda: unprivileged.get(SECRETS, namespace, "x"),
        lambda: unprivileged.list(JOBS, namespace, {}),
        lambda: unprivileged.create(CONFIG_MAPS, body),
        lambda: unprivileged.apply(CONFIG_MAPS, body, field_manager="x"),
        lambda: unprivileged.merge_patch(CONFIG_MAPS, namespace, "x", {}),
    ]
    for call in calls:
        with pytest.raises(Forbidden, match=r"cannot .* resource") as caught:
            call()
        assert caught.value.code == 403


def test_a_wrong_token_is_unavailable_it_may_be_rotated(cluster: Cluster, namespace: str) -> None:
    configuration = read_configuration(str(cluster.kubeconfig))
    configuration.cert_file = configuration.key_file = None
    configuration.api_key = {"authorization": "Bearer nonsense"}
    with pytest.raises(Unavailable) as caught:
        KubernetesCluster(connect(configuration)).get(PODS, namespace, "x")
    assert caught.value.code == 401


def _at(port: int) -> KubernetesCluster:
    configuration = read_configuration_of(f"http://127.0.0.1:{port}")
    return KubernetesCluster(connect(configuration))


def read_configuration_of(host: str) -> Any:
    configuration = Configuration()
    configuration.host = host
    configuration.retries = False
    return configuration


def test_a_dead_port_is_unavailable_for_every_verb() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = _at(unused.getsockname()[1])
        body = config_map("n", "x")
        calls: list[Any] = [
            lambda: dead.get(PODS, "n", "x"),
            lambda: dead.create(CONFIG_MAPS, body),
            lambda: dead.apply(CONFIG_MAPS, body, field_manager="x"),
        ]
        for call in calls:
            start = time.monotonic()
            with pytest.raises(Unavailable, match="cannot be reached"):
                call()
            assert time.monotonic() - start < 5


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_silent_server_is_unavailable_after_the_bound(
    silent: int,
) -> None:
    api = KubernetesCluster(connect(read_configuration_of(f"http://127.0.0.1:{silent}")), timeout_seconds=(0.2, 0.3))
    start = time.monotonic()
    with pytest.raises(Unavailable):
        api.get(PODS, "n", "x")
    assert time.monotonic() - start < 5


class _Scripted(http.server.BaseHTTPRequestHandler):
    codes: list[int]
    requests: list[str]
    retry_after: str = ""

    def _answer(self) -> None:
        self.requests.append(self.command)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code = self.codes.pop(0) if self.codes else 200
        body = b'{"metadata": {"name": "x"}}' if code == 200 else b"<html>gateway</html>"
        self.send_response(code)
        if code != 200 and self.retry_after:
            self.send_header("Retry-After", self.retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815  the names are http.server's

    def log_message(self, *_: Any) -> None:  # the test's output is not the place
        pass


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KubernetesCluster, type[_Scripted]]]:
    """A server that answers with the codes it is given, then with 200; the pauses of the client are short."""
    monkeypatch.setattr(module, "_RETRY", Backoff(first=0.01, last=20.0))
    handler = type("Handler", (_Scripted,), {"codes": [], "requests": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        api = _at(server.server_port)
        yield api, handler
        api._api.rest_client.pool_manager.clear()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_repeated_but_not_for_a_create(
    scripted: tuple[KubernetesCluster, type[_Scripted]], code: int
) -> None:
    api, server = scripted
    body = config_map("n", "x")
    server.codes[:] = [code, code]
    assert api.get(PODS, "n", "x") is not None
    server.codes[:] = [code]
    assert api.apply(CONFIG_MAPS, body, field_manager="x")["metadata"] == {"name": "x"}
    assert server.requests == ["GET", "GET", "GET", "PATCH", "PATCH"]
    server.codes[:] = [code]
    with pytest.raises(Unavailable, match=f"HTTP {code}: <html>") as caught:
        api.create(CONFIG_MAPS, body)
    assert caught.value.code == code
    assert server.requests[5:] == ["POST"]


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_for_a_pause_gets_it(scripted: tuple[KubernetesCluster, type[_Scripted]], code: int) -> None:
    api, server = scripted
    server.codes[:], server.retry_after = [code], "1"
    begin = time.monotonic()
    assert api.get(PODS, "n", "x") is not None
    assert 1 <= time.monotonic() - begin < 3
    assert server.requests == ["GET", "GET"]


def test_a_pause_beyond_the_bound_is_left_to_the_caller(
    scripted: tuple[KubernetesCluster, type[_Scripted]],
) -> None:
    api, server = scripted
    server.codes[:], server.retry_after = [429], "3600"
    begin = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        api.get(PODS, "n", "x")
    assert time.monotonic() - begin < 1
    assert caught.value.retry_after == 3600
    assert server.requests == ["GET"]


def test_a_fault_that_stays_is_reported_after_three_tries(scripted: tuple[KubernetesCluster, type[_Scripted]]) -> None:
    api, server = scripted
    server.codes[:] = [503] * 9
    with pytest.raises(Unavailable):
        api.get(PODS, "n", "x")
    assert len(server.requests) == 3


def test_a_code_without_meaning_of_its_own_is_a_cluster_error(
    scripted: tuple[KubernetesCluster, type[_Scripted]],
) -> None:
    api, server = scripted
    server.codes[:] = [410]
    with pytest.raises(ClusterError) as caught:
        api.get(PODS, "n", "x")
    assert type(caught.value) is ClusterError
