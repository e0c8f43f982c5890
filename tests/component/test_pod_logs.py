"""Logs of pods over the official client, from a server that answers as the API server does."""

import json

import pytest
from kubernetes import client

from ingestion_operator.adapters.kube.client import connect
from ingestion_operator.adapters.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.errors import Invalid, NotFound, Unavailable
from testing.raw_server import RawServer, raw_server


def logs_of(server: RawServer) -> KubernetesPodLogs:
    configuration = client.Configuration(host=f"http://127.0.0.1:{server.port}")
    configuration.retries = False
    return KubernetesPodLogs(connect(configuration))


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_the_tail_is_asked_for_in_lines() -> None:
    with raw_server(answer(b"one\ntwo\n")) as server:
        assert b"".join(logs_of(server).tail("data", "nightly-1-a", 60)) == b"one\ntwo\n"
    (request,) = server.requests
    target = request.split(b" ")[1].decode()
    assert target.startswith("/api/v1/namespaces/data/pods/nightly-1-a/log?")
    assert set(target.partition("?")[2].split("&")) == {"container=ingestion", "tailLines=60"}


def test_a_log_is_read_whole_in_pieces() -> None:
    with raw_server(answer(b"x" * 200_000)) as server:
        pieces = list(logs_of(server).read("data", "p"))
    assert (len(pieces) > 1, sum(map(len, pieces))) == (True, 200_000)
    assert b"tailLines" not in server.requests[0]


def test_a_pod_that_no_node_has_taken_has_an_empty_log() -> None:
    nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
    with raw_server(nothing) as server:
        assert list(logs_of(server).tail("data", "p", 60)) == []
        assert list(logs_of(server).read("data", "p")) == []


@pytest.mark.parametrize(
    ("status", "error"), [("404 Not Found", NotFound), ("400 Bad Request", Invalid), ("502 Bad Gateway", Unavailable)]
)
def test_a_missing_log_has_its_cause(status: str, error: type[Exception]) -> None:
    words = json.dumps({"message": "the API server's words"}).encode()
    with raw_server(answer(words, status)) as server, pytest.raises(error, match="the API server's words"):
        list(logs_of(server).tail("data", "p", 60))
