"""CronJobs and pipelines that others change, rewrite, refuse, delete, or hold by a finalizer."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from testing.fault_proxy import Call
from testing.waiting import wait_for
from tests.scenarios.faults import policies
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.cases.watches import LIGHT
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_FINALIZER: Final = "chaos.example.com/hold"
_MIRROR: Final = "mirror.example.com/"
_WAITS: Final = "WaitingForDeletion"
_QUIET_SECONDS: Final = 60
_MOST_WRITES: Final = 2
_RIVAL: Final = "rival-controller"
_FIGHT_SECONDS: Final = 120
_SCHEDULE: Final = {"cron": "0 0 1 1 *", "timeZone": "Etc/UTC"}

_ADDITIONS: Final[dict[str, Any]] = {
    "completions": 3,
    "parallelism": 2,
    "activeDeadlineSeconds": 1,
    "suspend": True,
    "template": {"spec": {"nodeSelector": {"no-node": "has-it"}, "hostNetwork": True, "serviceAccountName": "default"}},
}


def additions(trial: Trial) -> None:
    """Fields that the operator does not set are removed again; the next run has none of them."""
    pipeline, cronjob = _ready(trial)
    before = _spec(trial, cronjob)
    with trial.target.proxy.recording() as calls:
        trial.disturbed()
        patch = json.dumps({"spec": {"jobTemplate": {"spec": _ADDITIONS}}})
        trial.installation.kubectl("patch", "cronjob", cronjob, "--type=merge", "--patch", patch)
        wait_for("the CronJob to be as before", lambda: _spec(trial, cronjob) == before, timeout=trial.able_within)
        trial.recovered()
        trial.wait_until_recorded(trial.start(pipeline))
    _check_writes(trial, calls)


def overridden(trial: Trial) -> None:
    """What admission makes of the operator's own apply is accepted and named once, not fought."""
    pipeline, cronjob = _ready(trial)
    with policies.rewriting_images(trial, cronjob, _MIRROR), trial.target.proxy.recording() as calls:
        trial.edit(pipeline, {"timeout": "1h"})
        condition = trial.wait_for_condition(pipeline, "Overridden", status="True")
        assert "image" in condition["message"], condition["message"]
        trial.wait_until_ready(pipeline)
        _let_pass(_QUIET_SECONDS)
    _check_writes(trial, calls)
    trial.edit(pipeline, {"timeout": "2h"})
    trial.check("Overridden to go away", lambda: not _is_true(trial, pipeline, "Overridden"))
    trial.wait_until_recorded(trial.start(pipeline))


def contested(trial: Trial) -> None:
    """Another controller sets a field again each time; the operator steps back and names it."""
    pipeline, cronjob = _ready(trial, schedule=_SCHEDULE)
    trial.disturbed()
    until = time.monotonic() + _FIGHT_SECONDS
    while not _is_true(trial, pipeline, "Contested"):
        assert time.monotonic() < until, "the condition Contested does not come"
        _fight(trial, cronjob)
    assert _RIVAL in trial.installation.condition(pipeline, "Contested")["message"]
    with trial.target.proxy.recording() as calls:
        end = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < end:
            _fight(trial, cronjob)
    _check_writes(trial, calls)
    trial.recovered()
    trial.wait_until_recorded(trial.start(pipeline))


def cronjob_waits(trial: Trial) -> None:
    """A CronJob that is deleted and held: no new runs, and the run under way is recorded."""
    pipeline, cronjob = _ready(trial, seconds=20, schedule=_SCHEDULE)
    run = trial.start(pipeline)
    trial.wait_until_working(run)
    _hold(trial, "cronjob", cronjob)
    trial.disturbed()
    trial.installation.kubectl("delete", "cronjob", cronjob, "--wait=false")
    trial.wait_for_condition(pipeline, _WAITS, timeout=trial.able_within)
    _check_suspended(trial, cronjob)
    trial.wait_until_recorded(run)
    wait_for("the run's report", lambda: trial.row(run).get("state") == "success", timeout=30)
    _hold(trial, "cronjob", cronjob, is_held=False)
    trial.recovered()
    trial.wait_until_ready(pipeline)
    trial.check("the pipeline not to wait any more", lambda: not _waits(trial, pipeline))


def pipeline_waits(trial: Trial) -> None:
    """A pipeline that is deleted and held by another controller's finalizer."""
    pipeline, cronjob = _ready(trial, seconds=20, schedule=_SCHEDULE)
    run = trial.start(pipeline)
    trial.wait_until_working(run)
    _hold(trial, "omip", pipeline)
    trial.disturbed()
    trial.installation.kubectl("delete", "omip", pipeline, "--wait=false")
    trial.wait_for_condition(pipeline, _WAITS, timeout=trial.able_within)
    _check_suspended(trial, cronjob)
    trial.wait_until_recorded(run)
    trial.settle(timeout=60)
    _hold(trial, "omip", pipeline, is_held=False)
    trial.recovered()
    wait_for("the pipeline to be gone", lambda: trial.installation.get("omip", pipeline) is None, timeout=30)


def cronjob_deleted(trial: Trial) -> None:
    """Kubernetes removes the Jobs of the CronJob with it; the operator makes another one."""
    pipeline, cronjob = _ready(trial, seconds=600)
    gone = Expected("failed", ("JobDeleted", "Interrupted"), ("operator",), most_rows=2)
    run = trial.start(pipeline, gone)
    trial.wait_until_working(run)
    trial.disturbed()
    trial.installation.kubectl("delete", "cronjob", cronjob, "--timeout=50s")
    trial.wait_until_recorded(run)
    wait_for("another CronJob", lambda: trial.installation.get("cronjob", cronjob), timeout=trial.able_within)
    trial.recovered()
    trial.wait_until_ready(pipeline)


def cronjob_refused(trial: Trial) -> None:
    """A spec that is refused moves nothing, and is applied once it is allowed."""
    pipeline, cronjob = _ready(trial, schedule=_SCHEDULE)
    before = trial.installation.get("cronjob", cronjob)
    assert before is not None
    with policies.denying(trial, "cronjobs", cronjob):
        trial.edit(pipeline, {"schedule": {**_SCHEDULE, "cron": "5 0 1 1 *"}})
        ready = lambda: policies.MESSAGE in _message(trial, pipeline)  # noqa: E731
        wait_for("a condition that names the refusal", ready, timeout=trial.able_within)
        trial.wait_until_recorded(trial.start(pipeline))
        after = trial.installation.get("cronjob", cronjob)
        assert after is not None
        assert after["spec"] == before["spec"]
        assert after["status"].get("lastScheduleTime") == before["status"].get("lastScheduleTime")
    wait_for("the spec to be applied", lambda: _spec(trial, cronjob)["schedule"] == "5 0 1 1 *", timeout=90)
    trial.wait_until_ready(pipeline)


def _ready(trial: Trial, seconds: float = 5, **spec: Any) -> tuple[str, str]:
    """Return a pipeline that is Ready, and its CronJob."""
    pipeline = trial.light(seconds, **spec)
    trial.wait_until_ready(pipeline)
    return pipeline, str(trial.installation.status(pipeline)["cronJobName"])


def _spec(trial: Trial, cronjob: str) -> dict[str, Any]:
    return dict((trial.installation.get("cronjob", cronjob) or {}).get("spec", {}))


def _fight(trial: Trial, cronjob: str) -> None:
    """Set the field as the other controller wants it, once the operator has set its own."""
    if _spec(trial, cronjob).get("startingDeadlineSeconds") != 17:
        patch = json.dumps({"spec": {"startingDeadlineSeconds": 17}})
        trial.installation.kubectl(
            "patch", "cronjob", cronjob, "--type=merge", "--patch", patch, f"--field-manager={_RIVAL}"
        )  # fmt: skip
    _let_pass(0.5)


def _let_pass(seconds: float) -> None:
    time.sleep(seconds)  # the length of an observation, nothing is waited for


def _hold(trial: Trial, kind: str, name: str, *, is_held: bool = True) -> None:
    patch = json.dumps({"metadata": {"finalizers": [_FINALIZER] if is_held else []}})
    trial.installation.kubectl("patch", kind, name, "--type=merge", "--patch", patch)


def _check_suspended(trial: Trial, cronjob: str) -> None:
    trial.check("the CronJob to be suspended", lambda: _spec(trial, cronjob).get("suspend") is True)


def _check_writes(trial: Trial, calls: list[Call]) -> None:
    """Few writes of CronJobs, whatever another client does with them."""
    writes = [
        call for call in calls if call.method == "PATCH" and f"/{trial.installation.namespace}/cronjobs/" in call.target
    ]
    real = [call for call in writes if "dryRun" not in call.target]
    assert len(real) <= _MOST_WRITES, f"{len(real)} PATCHes of CronJobs: {[call.target for call in real]}"


def _is_true(trial: Trial, pipeline: str, kind: str) -> bool:
    return trial.installation.condition(pipeline, kind).get("status") == "True"


def _waits(trial: Trial, pipeline: str) -> bool:
    conditions = trial.installation.status(pipeline).get("conditions", [])
    return any(one["reason"] == _WAITS or (one["type"], one["status"]) == (_WAITS, "True") for one in conditions)


def _message(trial: Trial, pipeline: str) -> str:
    conditions = trial.installation.status(pipeline).get("conditions", [])
    return " ".join(one["message"] for one in conditions)


def _case(
    name: str, fault: str, act: Callable[[Trial], None], *, seconds: float = 120, expected: Expected = LIGHT
) -> Case:
    return Case(name, fault, act, expected, place="own", is_timed=False, most_restarts=0, about_seconds=seconds)


CRONJOBS: Final = (
    _case("cronjob-additions", "another client adds fields to a CronJob that the operator does not set", additions),
    _case("cronjob-overridden", "a policy rewrites the image of every CronJob", overridden, seconds=180),
    _case("cronjob-contested", "another controller sets a field of a CronJob again and again", contested, seconds=250),
    _case("cronjob-waits", "a CronJob is deleted and held by a finalizer, while a run works", cronjob_waits),
    _case("pipeline-waits", "a pipeline is deleted and held by a finalizer, while a run works", pipeline_waits),
    _case("cronjob-deleted", "kubectl delete cronjob, while a run works", cronjob_deleted),
    _case("cronjob-refused", "a policy denies the write of a changed CronJob", cronjob_refused, seconds=200),
)
