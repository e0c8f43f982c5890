"""Which calls a rule of the fault proxy hits, and what becomes of watches."""

import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import yaml

from testing.fault_proxy import Call, Fault, FaultProxy, Rule
from testing.fault_rules import LEADER_CHANGED, collection, status_of
from testing.raw_server import raw_server

SECRETS = "/api/v1/namespaces/n/secrets?fieldManager=m"


def hits(rule: Rule, *calls: tuple[str, str, bytes]) -> list[bool]:
    return [rule.hits(Call(method, target), body) for method, target, body in calls]


@pytest.mark.parametrize(
    ("nth", "times", "expected"),
    [
        (1, 1, [True, False, False, False]),
        (2, 1, [False, True, False, False]),
        (2, 2, [False, True, True, False]),
        (3, None, [False, False, True, True]),
    ],
)
def test_a_rule_hits_from_the_nth_match_on_so_often(nth: int, times: int | None, expected: list[bool]) -> None:
    rule = Rule(Fault(500), method="POST", target="/secrets", nth=nth, times=times)
    assert hits(rule, *[("POST", SECRETS, b"")] * 4) == expected


def test_a_call_that_does_not_match_is_not_counted() -> None:
    rule = Rule(Fault(500), method="POST", target=r"/secrets\?", nth=2)
    calls = [("POST", SECRETS, b""), ("GET", SECRETS, b""), ("POST", "/apis/batch/v1/jobs?x", b"")]
    assert hits(rule, *calls, ("POST", SECRETS, b"")) == [False, False, False, True]


def test_a_method_is_matched_as_a_whole() -> None:
    assert hits(Rule(Fault("cut"), method="P"), ("POST", SECRETS, b"")) == [False]


def test_a_name_is_matched_in_the_target_and_in_the_body() -> None:
    rule = Rule(Fault("cut"), naming=("mine", "my-token"), times=None)
    calls = [("GET", "/pods/mine", b""), ("POST", SECRETS, b'{"name": "my-token"}'), ("GET", "/pods/other", b"")]
    assert hits(rule, *calls) == [True, True, False]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/apis/batch/v1/namespaces/n/jobs?labelSelector=a&watch=true", (True, True, True)),
        ("/apis/batch/v1/namespaces/n/jobs?limit=500", (True, False, True)),
        ("/apis/batch/v1/jobs?watch=1", (False, False, True)),
        ("/apis/batch/v1/namespaces/m/jobs?watch=true", (False, False, True)),
        ("/apis/batch/v1/namespaces/n/cronjobs?watch=true", (False, False, True)),
        ("/api/v1/namespaces/n/pods?watch=true", (False, False, True)),
        ("/apis/batch/v1/namespaces/n/jobs/one?fieldManager=m", (False, False, False)),
        ("/api/v1/namespaces/n/pods/one/log?follow=true", (False, False, False)),
        ("/apis/coordination.k8s.io/v1/namespaces/n/leases/operator", (False, False, False)),
    ],
)
def test_a_collection_is_its_lists_and_watches(target: str, expected: tuple[bool, ...]) -> None:
    targets = (collection("jobs", "n"), collection("jobs", "n", only_watches=True), collection())
    assert tuple(Rule(Fault(500), target=one).covers(Call("GET", target)) for one in targets) == expected


WATCHED_PODS = "/api/v1/namespaces/n/pods?watch=true"


@dataclass
class Caller:
    """A client of the proxy with an open watch, one line of which has come."""

    proxy: FaultProxy
    connect: Callable[[], http.client.HTTPConnection]
    answer: http.client.HTTPResponse
    connections: ExitStack

    def asks_again(self) -> http.client.HTTPResponse:
        connection = self.connections.enter_context(closing(self.connect()))
        connection.request("GET", WATCHED_PODS)
        return self.connections.enter_context(connection.getresponse())


@pytest.fixture(params=["HTTP", "HTTPS"])
def caller(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Caller]:
    """The API server sends a line and half of another, and keeps the connection."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    event = b"8\r\none\nhalf\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    is_plain = request.param == "HTTP"
    with raw_server(head + event, b"", pause=20, tls=tls) as server:
        cluster = {
            "server": f"https://127.0.0.1:{server.port}",
            "certificate-authority-data": b64encode(authority.cert_pem.bytes()).decode(),
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump({"clusters": [{"name": "c", "cluster": cluster}]}))
        with FaultProxy(kubeconfig, tls=None if is_plain else tls) as proxy:

            def connect() -> http.client.HTTPConnection:
                if is_plain:
                    return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=1.5)
                return http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=1.5, context=trust)

            with ExitStack() as connections:
                connection = connections.enter_context(closing(connect()))
                connection.request("GET", WATCHED_PODS)
                answer = connections.enter_context(connection.getresponse())
                assert answer.readline() == b"one\n"
                yield Caller(proxy, connect, answer, connections)


def test_a_watch_is_passed_on_as_it_comes_and_can_be_cut(caller: Caller) -> None:
    caller.proxy.cut_watches()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        caller.answer.read()


def test_an_open_watch_gets_the_event_between_two_lines(caller: Caller) -> None:
    with caller.proxy.failing(Rule(Fault("error"), target=collection("pods"), times=None), open_streams=True):
        (line,) = caller.answer.read().splitlines()
        assert json.loads(line)["object"] | {"kind": ""} == status_of(504, LEADER_CHANGED) | {"kind": ""}
        assert json.loads(line)["type"] == "ERROR"
        assert caller.asks_again().read() == line + b"\n"
    assert caller.asks_again().readline() == b"one\n"


def test_another_kinds_watch_goes_on(caller: Caller) -> None:
    rule = Rule(Fault("error"), target=collection("jobs"), times=None)
    with caller.proxy.failing(rule, open_streams=True), pytest.raises(TimeoutError):
        caller.answer.readline()
    assert not rule.struck.is_set()


def test_silence_stays_after_the_fault_is_over(caller: Caller) -> None:
    rule = Rule(Fault("silence"), target=collection("pods"), times=None)
    with caller.proxy.failing(rule, open_streams=True), pytest.raises(TimeoutError):
        caller.asks_again()
    with pytest.raises(TimeoutError):
        caller.answer.readline()
    assert caller.asks_again().readline() == b"one\n"


def test_an_answer_with_an_error_also_ends_open_watches(caller: Caller) -> None:
    with caller.proxy.failing(Rule(Fault(403), target=collection("pods"), times=None), open_streams=True):
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            caller.answer.read()
        assert caller.asks_again().status == 403
    assert caller.asks_again().status == 200


def test_of_several_rules_each_hits_its_own_calls(caller: Caller) -> None:
    with caller.proxy.failing(Rule(Fault(404), target="/jobs", times=None), Rule(Fault(401), target="/pods")):
        assert [caller.asks_again().status for _ in range(2)] == [401, 200]
