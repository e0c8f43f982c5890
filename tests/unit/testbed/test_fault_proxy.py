"""Which calls a rule of the fault proxy hits, and what becomes of watches."""

import http.client
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import trustme
import yaml

from tests.support.fault_proxy import Call, Fault, FaultProxy, Rule
from tests.support.raw_server import raw_server

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


def test_a_name_is_looked_for_in_the_target_and_in_the_body() -> None:
    rule = Rule(Fault("cut"), naming=("mine", "my-token"), times=None)
    calls = [("GET", "/pods/mine", b""), ("POST", SECRETS, b'{"name": "my-token"}'), ("GET", "/pods/other", b"")]
    assert hits(rule, *calls) == [True, True, False]


def test_a_watch_is_passed_on_as_it_comes_and_can_be_cut(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    event = b"4\r\none\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(head + event, b"", pause=20, tls=tls) as server:
        cluster = {
            "server": f"https://127.0.0.1:{server.port}",
            "certificate-authority-data": b64encode(authority.cert_pem.bytes()).decode(),
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump({"clusters": [{"name": "c", "cluster": cluster}]}))
        with FaultProxy(kubeconfig) as proxy:
            address = yaml.safe_load(proxy.write_kubeconfig(tmp_path / "proxied").read_text())
            port = int(address["clusters"][0]["cluster"]["server"].rpartition(":")[2])
            caller = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            caller.request("GET", "/api/v1/pods?watch=true")
            answer = caller.getresponse()
            assert answer.readline() == b"one\n"
            proxy.cut_watches()
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
            caller.close()
