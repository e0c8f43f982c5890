"""Which calls a rule of the fault proxy hits."""

import pytest

from tests.support.fault_proxy import Call, Fault, Rule

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
