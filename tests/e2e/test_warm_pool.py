"""Pods that have imported the library and wait for connection tests."""

import json
from collections.abc import Iterator

import pytest

from testing.connection_tests import (
    GATEWAY,
    gateway_with_pool,
    ready_pods,
    run_connection_test,
    set_pool,
    wait_for_pool,
)
from testing.installation import Installation
from testing.release import PASSWORD, USERNAME
from testing.server_client import ServerClient
from testing.waiting import wait_for

ADMIN = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture(scope="module")
def cold(installation: Installation) -> float:
    """The seconds that a test takes without a pool."""
    with installation.cluster.forward(installation.namespace, GATEWAY, 8080) as port:
        server = ServerClient.new(port, **ADMIN)
        seconds, found = run_connection_test(installation, server, "test-connection-cold")
        server.close()
    assert found["status"] == "Successful"
    return seconds


@pytest.fixture(scope="module")
def server(installation: Installation, cold: float) -> Iterator[ServerClient]:
    """A server in front of a gateway with one warm pod; at the end the pool goes."""
    assert cold
    with gateway_with_pool(installation, 1, **ADMIN) as client:
        yield client
    set_pool(installation, 0)  # what waits goes within three minutes, or with the namespace


def test_a_warm_pod_takes_one_test_and_is_replaced(
    installation: Installation, server: ServerClient, cold: float, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for_pool(installation, 1)
    (pod,) = ready_pods(installation)
    spec = installation.get("pod", pod)["spec"]  # type: ignore[index]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountToken" not in json.dumps(spec["volumes"])

    seconds, found = run_connection_test(installation, server, "test-connection-warm")
    with capsys.disabled():
        print(f"\na connection test: {cold:.1f} s without a pool, {seconds:.1f} s with a warm pod")  # noqa: T201
    assert (found["status"], found["response"]["status"]) == ("Successful", "Successful")
    assert seconds < cold

    # It was that pod that did it, and it has ended as any automation's.
    wait_for("its end", lambda: installation.get("pod", pod)["status"]["phase"] == "Succeeded", timeout=20)  # type: ignore[index]
    assert "the connection test passed" in installation.kubectl("logs", pod)
    wait_for_pool(installation, 1)
    assert ready_pods(installation) != [pod]

    # What arrived secret went over TLS, and stands nowhere.
    texts = {kind: installation.kubectl("get", kind, "-o", "yaml") for kind in ("jobs", "pods", "events", "configmaps")}
    texts["gateway log"] = installation.kubectl("logs", "deployment/ingestion-gateway", "--all-pods")
    texts["pod log"] = installation.kubectl("logs", pod)
    for value in (installation.credentials.token, installation.credentials.password):
        assert [where for where, text in texts.items() if value in text] == []


def test_a_test_is_executed_whatever_becomes_of_the_warm_pod(installation: Installation, server: ServerClient) -> None:
    wait_for_pool(installation, 1)
    (pod,) = ready_pods(installation)
    installation.kubectl("delete", "pod", pod, "--wait=false")
    _, found = run_connection_test(installation, server, "test-connection-after-a-loss")
    assert found["status"] == "Successful"
