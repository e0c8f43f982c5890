"""The operator is killed, away, or wrong about the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestion_operator import constants
from testing.installation import Installation
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.faults import kill_operator, operator_away, operator_clock_off
from tests.scenarios.faults.observer import Seen
from tests.scenarios.faults.target import PENDING_LIMIT
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_REPORTS_ITSELF: Final = Expected("success", ("Succeeded",), log=application.LAST_WORDS)
_BY_OPERATOR: Final = Expected("failed", ("OutOfMemory",), ("operator",), message="OutOfMemory")
"""An end that only the operator can report."""
_EXPIRED: Final = Expected("failed", ("Unschedulable",), ("operator",), message="No pod of the run started within")
_KILLED: Final = Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="Stopped on request")
_LEASE_SECONDS: Final = 15
"""How long a Lease is valid."""

_CLOCK_OFF: Final = timedelta(minutes=5)


def killed_before(trial: Trial) -> None:
    run = trial.start(trial.application(seconds=10))
    trial.wait_until_running(run)
    kill_operator(trial)


def killed_during(trial: Trial) -> None:
    """In the moment in which the container has ended, so between any two of the operator's writes."""
    trial.wait_until_ended(trial.start(_too_small(trial)))
    kill_operator(trial)


def killed_after(trial: Trial) -> None:
    """With the end in the status, and the report perhaps on its way."""
    trial.wait_until_recorded(trial.start(_too_small(trial)))
    kill_operator(trial)


def away_for_the_whole_run(trial: Trial) -> None:
    pipelines = [trial.application(), _too_small(trial, suffix="-unreported")]
    trial.installation.kubectl("wait", "omip", *pipelines, "--for=condition=Ready", "--timeout=30s")
    names = [trial.installation.status(pipeline)["cronJobName"] for pipeline in pipelines]
    assert all(names)
    with operator_away(trial):
        for run in (trial.start(pipelines[0]), trial.start(pipelines[1], _BY_OPERATOR)):
            trial.wait_until_ended(run)


def clock_ahead(trial: Trial) -> None:
    _clock_off(trial, _CLOCK_OFF)


def clock_behind(trial: Trial) -> None:
    _clock_off(trial, -_CLOCK_OFF)


def _clock_off(trial: Trial, by: timedelta) -> None:
    """Everything in which a time is compared with one of Kubernetes': waiting, expiry, a queue, a kill, a report."""
    installation = trial.installation
    label = f"{trial.name}-room"
    waits = trial.application(suffix="-waits", podTemplate={"spec": {"nodeSelector": {label: "yes"}}})
    never = trial.application(suffix="-never", podTemplate={"spec": {"nodeSelector": {"no-node": "has-it"}}})
    unreported = _too_small(trial, suffix="-unreported")
    endless = trial.application(seconds=600, suffix="-killed")
    turns = trial.application(seconds=1, suffix="-turns")
    installation.kubectl("label", "node", "--all", f"{label}-")  # an earlier round has left it
    with operator_clock_off(trial, by):
        held_up = trial.start(waits)
        expired = trial.start(never, _EXPIRED)
        killed = trial.start(endless, _KILLED)
        for run in (held_up, expired):
            trial.target.observer.wait("the cause", _is_unschedulable, run, timeout=60)
        installation.kubectl("label", "node", "--all", f"{label}=yes")
        trial.wait_until_running(killed)
        asked_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        installation.kubectl("annotate", "omip", endless, f"{constants.ANNOTATION_KILL}={asked_at}")
        others = [trial.start(unreported, _BY_OPERATOR), trial.start_by_client(turns), trial.start_by_client(turns)]
        for run in (held_up, expired, killed, *others):
            trial.wait_until_recorded(run)
        waited = trial.target.observer.seen(expired)
        assert waited.recorded_at is not None
        limit, took = int(PENDING_LIMIT[:-1]), waited.recorded_at - _created_at(waited)
        # The API server's time is known to five seconds.
        assert limit - 5 <= took <= limit + 15, f"ended after {took:.0f} s with startTimeout {PENDING_LIMIT}"
        off = abs(time.time() - _lease_time(installation))
        assert off < _LEASE_SECONDS, f"the operator's Lease is {off:.0f} s off"


def _is_unschedulable(seen: Seen) -> bool:
    return (seen.record or {}).get("reason") == "Unschedulable"


def _created_at(seen: Seen) -> float:
    """Return when a run's Job was made, in seconds since 1970."""
    return datetime.fromisoformat(str((seen.record or {})["startTime"])).timestamp()


def _lease_time(installation: Installation) -> float:
    """Return when the operator has renewed its Lease last, by its own clock."""
    lease = installation.get("lease", constants.LEASE_NAME)
    assert lease is not None
    return datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()


def _too_small(trial: Trial, suffix: str = "") -> str:
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    return trial.application(podTemplate={"container": {"resources": memory}}, suffix=suffix)


OPERATOR_CASES: Final = (
    Case(
        "operator-killed-before",
        "the operator is killed while the run works",
        killed_before,
        _REPORTS_ITSELF,
        place="own",
        is_timed=False,
    ),
    Case(
        "operator-killed-during",
        "the operator is killed in the moment in which the container has ended, out of memory",
        killed_during,
        _BY_OPERATOR,
        place="own",
        is_timed=False,
    ),
    Case(
        "operator-killed-after",
        "the operator is killed in the moment in which the end is in the status, out of memory",
        killed_after,
        _BY_OPERATOR,
        place="own",
        is_timed=False,
    ),
    Case(
        "operator-away",
        "no operator from before the start until after the end of two runs, one out of memory",
        away_for_the_whole_run,
        _REPORTS_ITSELF,
        place="own",
        is_timed=False,
    ),
    *(
        Case(
            f"clock-{word}",
            f"the operator's clock is 5 minutes {word}: runs that wait for a node, expire, are killed, queued, "
            "out of memory",
            act,
            _REPORTS_ITSELF,
            place="own",
            is_timed=False,
            about_seconds=220,
        )
        for word, act in (("ahead", clock_ahead), ("behind", clock_behind))
    ),
)
