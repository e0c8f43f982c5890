"""Lists and watches of the API server fail: of one kind, or of all. The operator must neither end nor stay deaf."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from testing.fault_proxy import Fault, Rule
from testing.fault_rules import collection
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

SECONDS: Final = 60
"""How long a fault lasts."""

LONG_SECONDS: Final = 300
SILENCE_BOUND: Final = 120.0
"""Seconds: a dead connection is noticed by the bookmarks that do not come, one a minute."""

LIGHT: Final = Expected("success", ("Succeeded",), ("runner",), log=application.LAST_WORDS)
_CUT_PAUSE_SECONDS: Final = 2


@dataclass(frozen=True)
class _Failure:
    """A way for lists and watches to fail, and the kind that shows it on one watch alone."""

    name: str
    words: str
    fault: Fault
    kind: str
    only_watches: bool = False
    able_within: float = 30.0


_FAILURES: Final = (
    _Failure(
        "error-event",
        "get the ERROR event 504 'etcdserver: leader changed'",
        Fault("error", code=504),
        "jobs",
        only_watches=True,
    ),
    _Failure(
        "internal-error-event",
        "get the ERROR event 500",
        Fault("error", code=500, message="an error on the server has prevented the request from succeeding"),
        "ingestionpipelines",
        only_watches=True,
    ),
    _Failure("expired", "get the ERROR event 410", Fault("gone"), "cronjobs", only_watches=True),
    _Failure("401", "are answered 401", Fault(401), "pods"),
    _Failure("403", "are answered 403", Fault(403), "cronjobs"),
    _Failure("404", "are answered 404", Fault(404), "ingestionpipelines"),
    _Failure("503", "are answered 503", Fault(503), "jobs"),
    _Failure("silent", "get no answer and no event", Fault("silence"), "pods", able_within=SILENCE_BOUND),
)


def disturb(trial: Trial, rule: Rule, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Let calls fail; a run ends meanwhile, another one is started and ends."""
    early, late = trial.light(seconds=15, suffix="-early"), trial.light(seconds=5, suffix="-late")
    trial.wait_until_ready(early, late)
    run = trial.start(early)
    trial.wait_until_working(run)
    begin = time.monotonic()
    with trial.failing(rule):
        trial.start(late)
        while time.monotonic() < begin + seconds:  # the length of the fault, nothing is waited for
            meanwhile()
            time.sleep(_CUT_PAUSE_SECONDS)
    assert rule.struck.is_set(), "the operator has made no call that the fault is for"


def _act(failure: _Failure, seconds: float, *, is_one: bool) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        kind = failure.kind if is_one else "[a-z]+"
        target = collection(kind, only_watches=failure.only_watches)
        disturb(trial, Rule(failure.fault, method="GET", target=target, times=None), seconds)

    return act


def cut_again_and_again(trial: Trial) -> None:
    rule = Rule(Fault("pass"), target="^never$", times=None)
    rule.struck.set()
    disturb(trial, rule, SECONDS, trial.target.proxy.cut_watches)


def _case(failure: _Failure, *, is_one: bool, seconds: float = SECONDS) -> Case:
    scope, length = ("one", f"the {failure.kind}") if is_one else ("all", "all kinds"), f"{seconds:.0f} s"
    return Case(
        f"watch-{failure.name}-{scope[0]}{'-long' if seconds > SECONDS else ''}",
        f"{'watches' if failure.only_watches else 'lists and watches'} of {scope[1]} {failure.words} for {length}",
        _act(failure, seconds, is_one=is_one),
        LIGHT,
        able_within=failure.able_within,
        place="own",
        is_timed=False,
        most_restarts=0 if is_one else 1,
        about_seconds=seconds + 90 + (failure.able_within if failure.able_within > 30 else 0),
    )


_BY_NAME: Final = {failure.name: failure for failure in _FAILURES}

WATCHES: Final = (
    *(_case(failure, is_one=is_one) for failure in _FAILURES for is_one in (True, False)),
    _case(_BY_NAME["403"], is_one=True, seconds=LONG_SECONDS),
    Case(
        "watch-cut",
        f"all watches are cut every {_CUT_PAUSE_SECONDS} s for {SECONDS} s",
        cut_again_and_again,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
)
