"""What the scale benchmark makes of its samples."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale.audit import AuditLog, Calls
from benchmarks.scale.growth import exponent
from benchmarks.scale.relay import Relay
from ingestion_operator.gateway.server import listen
from testcluster.errors import TestClusterError

USER = "system:serviceaccount:scale:ingestion-operator"


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({100: 2.0, 1000: 20.0, 5000: 100.0}, 1.0),
        ({10: 1.0, 100: 100.0}, 2.0),
        ({10: 7.0, 100: 7.0, 1000: 7.0}, 0.0),
        ({10: 7.0}, None),
        ({10: 0.0, 100: 0.0}, None),
    ],
)
def test_the_exponent_shows_how_a_cost_grows(costs: dict[int, float], expected: float | None) -> None:
    assert exponent(costs) == expected


def _event(verb: str, resource: str, **more: Any) -> str:
    target = {"resource": resource, "name": more.get("name", "one"), "apiGroup": more.get("group", "batch")}
    event = {"stage": more.get("stage", "ResponseComplete"), "verb": verb, "objectRef": target}
    return json.dumps({**event, "user": {"username": more.get("user", USER)}}) + "\n"


def test_only_the_calls_of_the_account_count_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(_event("get", "cronjobs"))
    log = AuditLog(path, USER)
    with path.open("a") as audit:
        audit.write(_event("get", "cronjobs", name="a") + _event("get", "cronjobs", user="another"))
        audit.write(_event("patch", "leases") + _event("patch", "cronjobs"))
        audit.write(_event("watch", "pods", stage="ResponseStarted"))
        audit.write('{"half a line')
    calls = log.read(Calls())
    assert calls.table() == {"get cronjobs": 1, "patch leases": 1, "patch cronjobs": 1}
    assert (calls.total, calls.watched) == (3, {"pods"})
    assert log.read(Calls()).total == 0


def test_lease_and_watches_are_neither_reads_nor_writes(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.touch()
    log = AuditLog(path, USER)
    verbs = {"get": "secrets", "list": "jobs", "watch": "jobs", "create": "events", "delete": "jobs"}
    path.write_text("".join(_event(verb, resource) for verb, resource in verbs.items()))
    with path.open("a") as audit:
        audit.write(_event("get", "leases") + _event("update", "leases"))
        audit.write(_event("create", "selfsubjectaccessreviews", group="authorization.k8s.io"))
    calls = log.read(Calls())
    assert (calls.gets, calls.lists, calls.writes, calls.requests, calls.total) == (1, 1, 2, 4, 7)


def test_a_rotated_audit_log_is_read_to_its_end(tmp_path: Path) -> None:
    path, rotated = tmp_path / "audit.log", tmp_path / "audit-2026-01-01T00-00-00.000.log"
    path.write_text(_event("get", "old"))
    log = AuditLog(path, USER)
    with path.open("a") as audit:
        audit.write(_event("get", "last"))
    path.rename(rotated)
    path.write_text(_event("get", "first") + _event("get", "second"))
    assert log.read(Calls()).table() == {"get last": 1, "get first": 1, "get second": 1}
    assert log.read(Calls()).total == 0


def test_a_log_that_was_rotated_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(_event("get", "old"))
    log = AuditLog(path, USER)
    other = tmp_path / "other"
    other.write_text(_event("get", "new"))
    other.rename(path)
    with pytest.raises(TestClusterError, match="rotated more than once"):
        log.read(Calls())


def test_the_relay_passes_on_and_counts_both_ways() -> None:
    with listen(0) as server:
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"0123456789")

        thread = threading.Thread(target=answer)
        thread.start()
        with Relay("127.0.0.1", server.getsockname()[1]) as relay:
            with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"0123456789"
            thread.join(5)
            assert (relay.sent, relay.received) == (5, 10)
