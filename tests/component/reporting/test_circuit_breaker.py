"""Who may call a server, and who is woken when it answers again."""

import pytest

from ingestion_operator.reporting.circuit_breaker import MAX_CALLERS, RETRY, Breakers, Caller, Refused
from ingestion_operator.reporting.results import ReportBlocker

DOWN = ReportBlocker("the server is away", needs_action=False)
OTHER_WORDS = ReportBlocker("the server is away in other words", needs_action=False)
A, B, C = ("data", "a"), ("data", "b"), ("data", "c")
SERVER, TOKEN = "http://s", "http://s token"


class Watch:
    """Monotonic time that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def breakers(watch: Watch) -> Breakers:
    return Breakers(watch)


def fail(breakers: Breakers, caller: Caller, obstacle: ReportBlocker = DOWN) -> None:
    """Call a server that is down."""
    assert breakers.acquire((SERVER,), caller) is None
    breakers.release({SERVER: obstacle}, caller)


def test_a_server_that_works_gets_a_few_callers_at_a_time(
    breakers: Breakers,
) -> None:
    callers = [("data", str(number)) for number in range(MAX_CALLERS + 1)]
    entered = [breakers.acquire((SERVER,), caller) for caller in callers]
    assert entered == [*[None] * MAX_CALLERS, Refused(None)]
    assert breakers.due() == []
    breakers.release({SERVER: True}, callers[0])
    assert breakers.due() == [callers[-1]]
    assert breakers.due() == []


def test_after_a_failure_no_call_is_made_until_the_pause_is_over(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    assert breakers.acquire((SERVER,), B) == Refused(DOWN)
    assert breakers.due() == []
    watch.seconds += 0.49
    assert breakers.due() == []
    watch.seconds += 0.51
    assert breakers.acquire((SERVER,), B) is None


def test_one_probe_at_a_time_while_a_server_fails(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    watch.seconds += 1
    assert breakers.acquire((SERVER,), A) is None
    assert breakers.acquire((SERVER,), B) == Refused(DOWN)
    assert breakers.due() == []


def test_five_thousand_waiting_callers_are_enqueued_in_turn(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    for number in range(5000):
        assert breakers.acquire((SERVER,), ("data", str(number))) == Refused(DOWN)
    probes = []
    for _ in range(3600):
        watch.seconds += 1
        for caller in breakers.due():
            probes.append(caller)
            fail(breakers, caller)
    assert 60 <= len(probes) <= 140
    assert len(set(probes)) == len(probes)


def test_pauses_grow_up_to_a_minute(breakers: Breakers, watch: Watch) -> None:
    pauses = []
    for _ in range(12):
        fail(breakers, A)
        began = watch.seconds
        while breakers.acquire((SERVER,), B) is not None:
            watch.seconds += 0.1
        breakers.release({SERVER: False}, B)
        pauses.append(watch.seconds - began)
    for number, pause in enumerate(pauses):
        longest = min(RETRY.last, 2.0**number)
        assert longest / 2 <= pause <= longest + 0.2


def test_failures_of_calls_that_were_under_way_count_once(breakers: Breakers, watch: Watch) -> None:
    for caller in (A, B, C):
        assert breakers.acquire((SERVER,), caller) is None
    for caller in (A, B, C):
        breakers.release({SERVER: DOWN}, caller)
    watch.seconds += 1
    assert breakers.acquire((SERVER,), A) is None


def test_the_first_message_of_a_blocker_stays_until_it_is_gone(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    watch.seconds += 1
    fail(breakers, A, OTHER_WORDS)
    assert breakers.acquire((SERVER,), B) == Refused(DOWN)
    watch.seconds += 2
    assert breakers.acquire((SERVER,), A) is None
    breakers.release({SERVER: True}, A)
    fail(breakers, A, OTHER_WORDS)
    assert breakers.acquire((SERVER,), B) == Refused(OTHER_WORDS)


def test_once_a_server_answers_few_callers_are_enqueued_at_once(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    waiting = [("data", str(number)) for number in range(10)]
    for caller in waiting:
        breakers.acquire((SERVER,), caller)
    watch.seconds += 1
    assert breakers.acquire((SERVER,), C) is None
    breakers.release({SERVER: True}, C)
    woken: list[Caller] = []
    while turn := breakers.due():
        assert len(turn) <= MAX_CALLERS
        woken += turn
    assert set(woken) == {A, *waiting}


def test_one_caller_that_fails_alone_does_not_stop_the_others(breakers: Breakers, watch: Watch) -> None:
    tries = {A: 0, B: 0}
    fail(breakers, A)
    for _ in range(600):
        watch.seconds += 1
        if breakers.acquire((SERVER,), B) is None:
            breakers.release({SERVER: True}, B)
        for caller in breakers.due():
            tries[caller] += 1
            if breakers.acquire((SERVER,), caller) is None:
                breakers.release({SERVER: DOWN if caller == A else True}, caller)
    assert 8 <= tries[A] <= 30


def test_a_probe_that_came_to_no_call_leaves_things_as_they_were(breakers: Breakers, watch: Watch) -> None:
    fail(breakers, A)
    watch.seconds += 1
    assert breakers.acquire((SERVER, TOKEN), B) is None
    breakers.release({SERVER: False, TOKEN: False}, B)
    assert breakers.acquire((SERVER,), B) is None
    assert breakers.acquire((SERVER,), C) == Refused(DOWN)


def test_a_wrong_token_keeps_out_its_own_pipelines_alone(breakers: Breakers) -> None:
    wrong = ReportBlocker("wrong token", needs_action=True)
    assert breakers.acquire((SERVER, TOKEN), A) is None
    breakers.release({SERVER: True, TOKEN: wrong}, A)
    assert breakers.acquire((SERVER, TOKEN), B) == Refused(wrong)
    assert breakers.acquire((SERVER, "another token"), C) is None


def test_a_refusal_of_one_breaker_takes_no_place_at_another(breakers: Breakers) -> None:
    assert breakers.acquire((SERVER, TOKEN), A) is None
    breakers.release({SERVER: True, TOKEN: DOWN}, A)
    for _ in range(MAX_CALLERS * 2):
        assert breakers.acquire((SERVER, TOKEN), B) == Refused(DOWN)
    assert breakers.acquire((SERVER,), C) is None
