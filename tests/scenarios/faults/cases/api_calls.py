"""Every call of the operator to the API server fails, or one call at the wrong moment."""

import json
from collections.abc import Callable
from typing import Final

from testing.fault_proxy import Fault, Rule
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.cases.watches import LIGHT, LONG_SECONDS, SECONDS, SILENCE_BOUND, disturb
from tests.scenarios.faults.trial import Trial, kill_by_annotation
from tests.scenarios.faults.verdict import Expected

_SLOW_SECONDS: Final = 3
STOPPED: Final = Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="Stopped on request")
"""A light run that is killed while it works; its runner may report its interruption first."""

ENDLESS: Final = 600
"""Seconds: longer than any case."""


def _every_call(
    fault: Fault, seconds: float = SECONDS, method: str = ".*", target: str = ""
) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        disturb(trial, Rule(fault, method=method, target=target, times=None), seconds)

    return act


def status_answer_lost(trial: Trial) -> None:
    """The API server has the end of the run, and the operator does not know it. Its Event must come all the same."""
    run, pipeline = _started(trial)
    rule = Rule(Fault("cut", after_effect=True), "PATCH", f"/{pipeline}/status", naming=('"stopped"',))
    with trial.failing(rule):
        kill_by_annotation(trial, pipeline, run)
        trial.wait_until_recorded(run)
    assert rule.struck.is_set()
    trial.check("the Event of the run's end", lambda: len(_events_of(trial, pipeline, run)) == 1)


def _events_of(trial: Trial, pipeline: str, run: str) -> list[str]:
    text = trial.installation.kubectl("get", "events", f"--field-selector=involvedObject.name={pipeline}", "-o", "json")
    messages = [str(event["message"]) for event in json.loads(text)["items"] if event["reason"] == "RunEnded"]
    return [message for message in messages if run in message]


def event_answer_lost(trial: Trial) -> None:
    """Nothing but a second Event may come of it."""
    run, pipeline = _started(trial)
    rule = Rule(Fault("cut", after_effect=True), "POST", "/events", times=None)
    with trial.failing(rule):
        kill_by_annotation(trial, pipeline, run)
        trial.wait_until_recorded(run)


def conflicts(trial: Trial) -> None:
    """Another client is always faster: each first write of a status and of a Job meets a newer object."""
    rules = [Rule(Fault(409), "PATCH", target, times=3) for target in ("/jobs/", "/ingestionpipelines/")]
    pipeline = trial.light(seconds=5)
    trial.wait_until_ready(pipeline)
    with trial.failing(*rules):
        run = trial.start_by_client(pipeline)
        trial.wait_until_recorded(run)


def _started(trial: Trial) -> tuple[str, str]:
    pipeline = trial.light(seconds=ENDLESS)
    run = trial.start(pipeline, STOPPED)
    trial.wait_until_working(run)
    return run, pipeline


def _case(
    name: str, fault: str, act: Callable[[Trial], None], *, able_within: float = 30, seconds: float = SECONDS
) -> Case:
    return Case(
        name,
        fault,
        act,
        LIGHT,
        able_within=able_within,
        place="own",
        is_timed=False,
        most_restarts=1,
        about_seconds=seconds + 60 + able_within,
    )


API_CALLS: Final = (
    _case("api-401", f"every call is answered 401 for {SECONDS} s", _every_call(Fault(401))),
    _case("api-403", f"every call is answered 403 for {SECONDS} s", _every_call(Fault(403))),
    _case(
        "api-429",
        f"every call is answered 429 with Retry-After for {SECONDS} s",
        _every_call(Fault(429)),
    ),
    _case(
        "api-503-long",
        f"every call is answered 503 for {LONG_SECONDS} s",
        _every_call(Fault(503), LONG_SECONDS),
        able_within=60,
        seconds=LONG_SECONDS,
    ),
    _case(
        "api-silent",
        f"no call is answered for {SECONDS} s, and no connection ends",
        _every_call(Fault("silence")),
        able_within=SILENCE_BOUND,
    ),
    _case(
        "api-slow",
        f"every answer takes {_SLOW_SECONDS} s more for {SECONDS} s",
        _every_call(Fault("pass", delay=_SLOW_SECONDS)),
    ),
    _case(
        "writes-refused",
        f"every write but that of Leases is answered 500 for {SECONDS} s",
        _every_call(Fault(500), method="PATCH|POST|PUT|DELETE", target="^(?!.*/leases)"),
    ),
    _case("status-answer-lost", "the answer to the write of a run's end is lost", status_answer_lost, seconds=30),
    _case("event-answer-lost", "no answer to the write of an Event arrives", event_answer_lost, seconds=30),
    _case("conflicts", "the first three writes of a status and of a Job are answered 409", conflicts, seconds=30),
)
