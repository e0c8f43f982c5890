"""An automation on its way from the gateway to a warm pod: the real ends of it, over TLS."""

import json
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingestion_operator.adapters import warm_pod_tls
from ingestion_operator.adapters.warm_pod_tls import WarmPodTls
from runner_testing.child import PASSWORD
from runner_testing.pod import RUN_ID, WORKFLOW_ID, Pod, RunningParent, automation_document, server_connection
from runner_testing.server import RecordingServer

NAME = "warm-0-0123456789"
HERE = "127.0.0.1"
CRASH, WORK = "wait_for_an_automation", "wait_for_an_automation_and_work"


@pytest.fixture
def port() -> int:
    """A port that is free for the moment."""
    with socket.create_server((HERE, 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def gateway(port: int) -> WarmPodTls:
    """The gateway's end."""
    return WarmPodTls(port)


@pytest.fixture
def credentials(gateway: WarmPodTls) -> dict[str, str]:
    """What the pod's Secret holds."""
    return gateway.credentials(NAME)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """OpenMetadata, with the automation."""
    with RecordingServer() as running:
        running.workflows[WORKFLOW_ID] = {**automation_document(running.host_port), "status": "Pending"}
        yield running


@pytest.fixture
def pod(tmp_path: Path, credentials: dict[str, str], port: int) -> Pod:
    """A warm pod that waits."""
    pod = Pod(tmp_path)
    pod.mount_handover(credentials, port=port, seconds=20)
    return pod


def document(server: RecordingServer) -> str:
    connection = server_connection(server.host_port, securityConfig={"jwtToken": PASSWORD})
    return json.dumps(automation_document(server.host_port, openMetadataServerConnection=connection))


@contextmanager
def waiting(pod: Pod, behaviour: str, port: int) -> Iterator[RunningParent]:
    """The pod's real parent, once its child listens; found out as the kubelet finds out."""
    with pod.start("runner_testing.parent", behaviour) as parent:
        parent.wait_for_line("waiting")
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((HERE, port), 1).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, parent.log
                time.sleep(0.01)
        yield parent


def test_a_pod_takes_an_automation_and_executes_it(
    gateway: WarmPodTls, credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    with waiting(pod, CRASH, port) as parent:
        assert gateway.send(HERE, NAME, credentials, document(server)) == "taken"
        exit_code = parent.wait()
    summary, automation = parent.summary(), server.workflows[WORKFLOW_ID]
    assert (exit_code, summary["reason"], summary["reportedBy"]) == (1, "WorkflowCrashed", "runner")
    assert summary["runId"] == RUN_ID
    assert automation["status"] == "Failed"
    assert automation["response"]["steps"][0]["message"] == summary["message"]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {PASSWORD}"}
    assert "working on test-connection-Postgres-a1b2c3 with ********" in parent.log
    assert PASSWORD not in parent.log + str(automation["response"])


def test_a_pod_that_has_taken_one_is_closed_to_all_others(
    gateway: WarmPodTls, credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    with waiting(pod, WORK, port) as parent:
        assert gateway.send(HERE, NAME, credentials, document(server)) == "taken"
        parent.wait_for_line("ready")
        assert gateway.send(HERE, NAME, credentials, document(server)) == "refused"


def test_the_parent_closes_an_automation_after_its_deadline(
    gateway: WarmPodTls, credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    with waiting(pod, WORK, port) as parent:
        gateway.send(HERE, NAME, credentials, document(server))
        parent.wait_for_line("ready")
        parent.process.send_signal(signal.SIGTERM)
        assert parent.wait() == 143
    automation = server.workflows[WORKFLOW_ID]
    assert automation["status"] == "Failed"
    assert "its time was up" in automation["response"]["steps"][0]["message"]


def test_a_pod_without_a_request_ends_and_makes_no_call(
    credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    pod.mount_handover(credentials, port=port, seconds=0.2)
    with pod.start("runner_testing.parent", CRASH) as parent:
        assert parent.wait() == 0
    assert parent.summary()["message"] == "no automation came"
    assert server.requests == []


def test_a_pod_that_is_no_longer_wanted_ends_at_once(pod: Pod, server: RecordingServer, port: int) -> None:
    with waiting(pod, CRASH, port) as parent:
        parent.process.send_signal(signal.SIGTERM)
        assert parent.wait(5) == 143
    assert server.requests == []


@pytest.mark.parametrize("stranger", ["another secret", "another certificate"])
def test_a_pod_refuses_another_gateways_certificate(
    gateway: WarmPodTls,
    credentials: dict[str, str],
    pod: Pod,
    server: RecordingServer,
    port: int,
    stranger: str,
) -> None:
    other = gateway.credentials(NAME)
    changed = "secret" if stranger == "another secret" else "certificate"
    with waiting(pod, CRASH, port) as parent:
        assert gateway.send(HERE, NAME, credentials | {changed: other[changed]}, document(server)) == "refused"
        assert server.requests == []
        assert gateway.send(HERE, NAME, credentials, document(server)) == "taken"
        parent.wait()


def test_the_certificate_of_another_pod_is_not_accepted(
    gateway: WarmPodTls, credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    with waiting(pod, CRASH, port):
        assert gateway.send(HERE, "warm-1-0123456789", credentials, document(server)) == "refused"


def test_a_pod_without_a_go_does_nothing_and_waits(
    gateway: WarmPodTls, credentials: dict[str, str], pod: Pod, server: RecordingServer, port: int
) -> None:
    trusting = warm_pod_tls._client_context(credentials["certificate"])
    with waiting(pod, CRASH, port) as parent:
        with (
            socket.create_connection((HERE, port), 5) as plain,
            trusting.wrap_socket(plain, server_hostname=NAME) as slow,
        ):
            slow.sendall(f"{credentials['secret']}\n{document(server)}\n".encode())
            assert slow.recv(100) == b"ready\n"
        assert gateway.send(HERE, NAME, credentials, document(server)) == "taken"
        parent.wait()
    assert parent.log.count("working on") == 1


def test_a_pod_that_is_not_there_is_distinguished_at_once(
    gateway: WarmPodTls, credentials: dict[str, str], server: RecordingServer
) -> None:
    begin = time.monotonic()
    assert gateway.send(HERE, NAME, credentials, document(server)) == "refused"
    assert time.monotonic() - begin < 1


def test_credentials_that_cannot_be_read_refuse(gateway: WarmPodTls) -> None:
    assert gateway.send(HERE, NAME, {}, "{}") == "refused"


class Impostor(threading.Thread):
    """A pod that knows its part as far as `answers` go, and then is silent or gone."""

    def __init__(self, port: int, certificate: Path, answers: list[bytes], *, stays: bool) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server((HERE, port))
        self._answers, self._stays = answers, stays
        self.start()

    def run(self) -> None:
        with self._listener, self._listener.accept()[0] as plain:
            plain.settimeout(10)
            with self._context.wrap_socket(plain, server_side=True) as secured, secured.makefile("rb") as lines:
                lines.readline()
                lines.readline()
                for answer in self._answers:
                    secured.sendall(answer)
                    lines.readline()
                if self._stays:
                    lines.readline()  # until the other end has had enough


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize(("answers", "result"), [([], "refused"), ([b"what?\n"], "refused"), ([b"ready\n"], "unknown")])
def test_a_pod_counts_as_begun_only_from_the_word_go_on(
    gateway: WarmPodTls,
    credentials: dict[str, str],
    server: RecordingServer,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[bytes],
    result: str,
    stays: bool,
) -> None:
    monkeypatch.setattr(warm_pod_tls, "_READY_SECONDS", 0.5)
    monkeypatch.setattr(warm_pod_tls, "_TAKEN_SECONDS", 0.3)
    certificate = tmp_path / "certificate"
    certificate.write_text(credentials["certificate"])
    impostor = Impostor(port, certificate, answers, stays=stays)
    begin = time.monotonic()
    assert gateway.send(HERE, NAME, credentials, document(server)) == result
    assert time.monotonic() - begin < 2
    impostor.join(10)
    assert not impostor.is_alive()


def test_every_pod_has_credentials_of_its_own(gateway: WarmPodTls) -> None:
    made: list[dict[str, Any]] = [gateway.credentials(NAME) for _ in range(2)]
    assert made[0]["secret"] != made[1]["secret"]
    assert made[0]["certificate"] != made[1]["certificate"]
