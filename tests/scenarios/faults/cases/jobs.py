"""Jobs that cannot be written, cannot be read, are too many, or belong to another pipeline."""

import json
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import OperatorError
from testing.waiting import wait_for
from tests.scenarios.faults import policies
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.cases.api_calls import ENDLESS, STOPPED
from tests.scenarios.faults.cases.watches import LIGHT
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_TRIGGERS: Final = 50
_QUEUED: Final = 20
"""concurrency.maxQueuedRuns of a pipeline that does not name it."""

_STOPPED_UNSTARTED: Final = Expected("stopped", ("Killed",), ("operator",), message="before it started")
_FINALIZER: Final = "chaos.example.com/hold"


def patch_denied(trial: Trial) -> None:
    """The run that waits cannot be admitted; all else of its pipeline goes on."""
    pipeline = trial.light(seconds=20)
    first = trial.start_by_client(pipeline)
    trial.wait_until_working(first)
    second = trial.start_by_client(pipeline)
    job = _job_of(trial, second)
    with policies.denying(trial, "jobs", job):
        trial.wait_until_recorded(first)
        failed = trial.wait_for_condition(pipeline, "ActionsFailed", status="True")
        for words in (job, "patch", policies.MESSAGE):
            assert words in failed["message"].lower(), f"{words!r} is not in {failed['message']!r}"
        trial.wait_until_recorded(trial.start(pipeline, number=3))
        trial.edit(pipeline, {"timeout": "1h"})
        trial.wait_until_ready(pipeline)
    trial.check("the run that was denied to end", lambda: _has_ended(trial, second), timeout=120)
    trial.check("ActionsFailed to go away", lambda: not _failed(trial, pipeline))


def annotation_unreadable(trial: Trial) -> None:
    """One annotation of one Job is not a time; its pipeline has a schedule, for which the operator reads it."""
    pipeline = trial.light(seconds=10, schedule={"cron": "0 0 1 1 *", "timeZone": "Etc/UTC"})
    run = trial.start(pipeline)
    trial.wait_until_working(run)
    trial.disturbed()
    trial.installation.kubectl("annotate", "job", _job_of(trial, run), f"{constants.ANNOTATION_SCHEDULED_AT}=tomorrow")
    trial.wait_until_recorded(run)
    trial.wait_until_recorded(trial.start(pipeline, number=2))
    trial.edit(pipeline, {"suspend": True})
    trial.wait_until_ready(pipeline)


def many_queued_killed(trial: Trial) -> None:
    pipeline = trial.light(seconds=ENDLESS, concurrency={"maxQueuedRuns": 100})
    trial.wait_until_working(trial.start_by_client(pipeline, STOPPED))
    for _ in range(_TRIGGERS - 1):
        trial.start_by_client(pipeline, _STOPPED_UNSTARTED)
    trial.check("one run at work and all others queued", lambda: _at_work_and_queued(trial, pipeline) == (1, 49))
    trial.disturbed()
    trial.target.service.kill_ingestion(pipeline)
    trial.recovered()
    trial.settle(timeout=120)
    trial.check("no Job to stay without an end", lambda: not _unfinished_jobs(trial, pipeline), timeout=60)


def queue_full(trial: Trial) -> None:
    """What does not fit into the queue is refused with a text that names the limit."""
    pipeline = trial.light(seconds=ENDLESS)
    trial.wait_until_working(trial.start_by_client(pipeline, STOPPED))
    for _ in range(_QUEUED):
        trial.start_by_client(pipeline, _STOPPED_UNSTARTED)
    trial.check("the queue to be full", lambda: _at_work_and_queued(trial, pipeline) == (1, _QUEUED))
    trial.disturbed()
    try:
        trial.target.service.run_pipeline(pipeline)
    except OperatorError as error:
        assert "maxQueuedRuns" in str(error), error  # noqa: PT017  no test function
    else:
        raise AssertionError("a run was accepted beyond maxQueuedRuns")
    trial.target.service.kill_ingestion(pipeline)
    trial.recovered()


def pipeline_replaced(trial: Trial) -> None:
    """The old pipeline's Job is held by a finalizer; the new pipeline must not take it for its own."""
    pipeline = trial.light(seconds=ENDLESS)
    old = trial.start(pipeline)
    trial.wait_until_working(old)
    job = _job_of(trial, old)
    _set_finalizers(trial, job, [_FINALIZER])
    trial.disturbed()
    trial.ignore(old)
    live = trial.installation.get("omip", pipeline)
    assert live is not None
    body = {key: live[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": pipeline}}
    body["spec"]["podTemplate"]["container"]["env"] = [
        one | ({"value": "5"} if one["name"] == "LASTS" else {})
        for one in body["spec"]["podTemplate"]["container"]["env"]
    ]
    trial.installation.kubectl("replace", "--force", "-f", "-", stdin=json.dumps(body), timeout=90)
    trial.wait_until_ready(pipeline)
    trial.recovered()
    trial.wait_until_recorded(trial.start(pipeline, number=2))
    _set_finalizers(trial, job, [])
    wait_for("the old Job to be gone", lambda: trial.installation.get("job", job) is None, timeout=60)
    trial.wait_until_recorded(trial.start(pipeline, number=3))
    assert not trial.installation.run(pipeline, old), "the new pipeline has the old one's run in its status"


def foreign_job(trial: Trial) -> None:
    """A Job that carries the pipeline's label and waits to be admitted, and that the pipeline does not own."""
    pipeline = trial.light(seconds=5)
    trial.wait_until_ready(pipeline)
    cronjob = str(trial.installation.status(pipeline)["cronJobName"])
    name = f"{pipeline}-foreign"
    container = {"name": constants.RUNNER_CONTAINER, "image": trial.installation.images["runner"]}
    trial.installation.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": {constants.LABEL_PIPELINE: cronjob},
                "annotations": {constants.ANNOTATION_REQUESTED_AT: "2020-01-01T00:00:00.000000Z"},
            },
            "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        }
    )
    job = trial.installation.get("job", name)
    assert job is not None
    trial.ignore(job["metadata"]["uid"])
    trial.disturbed()
    trial.wait_until_recorded(trial.start_by_client(pipeline))
    after = trial.installation.get("job", name)
    assert after is not None, "the operator has deleted a Job that is not the pipeline's"
    assert after["metadata"]["generation"] == job["metadata"]["generation"], "the operator has changed it"
    assert not trial.installation.run(pipeline, job["metadata"]["uid"]), (
        "the status has a run that is not the pipeline's"
    )


def replaced_by_newer(trial: Trial) -> None:
    """concurrency.policy Replace: the new run ends the one under way."""
    pipeline = trial.light(seconds=30, concurrency={"policy": "Replace"})
    replaced = Expected("stopped", ("Replaced",), ("operator",), most_rows=2)
    trial.wait_until_working(trial.start_by_client(pipeline, replaced))
    trial.disturbed()
    trial.wait_until_recorded(trial.start_by_client(pipeline))


def _job_of(trial: Trial, run: str) -> str:
    seen = trial.target.observer.wait("the Job of the run", lambda seen: bool(seen.jobs), run, timeout=30)
    return next(iter(seen.jobs.values()))


def _has_ended(trial: Trial, run: str) -> bool:
    return trial.target.observer.seen(run).recorded_at is not None


def _failed(trial: Trial, pipeline: str) -> bool:
    return trial.installation.condition(pipeline, "ActionsFailed").get("status") == "True"


def _at_work_and_queued(trial: Trial, pipeline: str) -> tuple[int, int]:
    status = trial.installation.status(pipeline)
    return len(status.get("activeRuns", [])), len(status.get("queuedRuns", []))


def _unfinished_jobs(trial: Trial, pipeline: str) -> list[str]:
    selector = f"{constants.LABEL_PIPELINE}={trial.installation.status(pipeline)['cronJobName']}"
    jobs = trial.installation.list("jobs", selector)
    return [job["metadata"]["name"] for job in jobs if not job["status"].get("conditions")]


def _set_finalizers(trial: Trial, job: str, finalizers: list[str]) -> None:
    patch: dict[str, Any] = {"metadata": {"finalizers": finalizers}}
    trial.installation.kubectl("patch", "job", job, "--type=merge", "--patch", json.dumps(patch))


JOBS: Final = (
    Case(
        "job-patch-denied",
        "a policy denies the patch of the Job that is to be admitted",
        patch_denied,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=200,
    ),
    Case(
        "job-annotation-unreadable",
        f"the annotation {constants.ANNOTATION_SCHEDULED_AT} of a Job is `tomorrow`",
        annotation_unreadable,
        LIGHT,
        place="own",
        most_restarts=0,
        about_seconds=100,
    ),
    Case(
        "many-queued-killed",
        f"{_TRIGGERS} triggers of one pipeline (maxQueuedRuns 100), then all are killed",
        many_queued_killed,
        STOPPED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=200,
    ),
    Case(
        "queue-full",
        f"one trigger more than maxQueuedRuns ({_QUEUED} by default) allows, then all are killed",
        queue_full,
        STOPPED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
    Case(
        "pipeline-replaced",
        "kubectl replace --force, while a Job of the old pipeline is held by a finalizer",
        pipeline_replaced,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
    Case(
        "foreign-job",
        "a Job that waits has the pipeline's label and another owner",
        foreign_job,
        LIGHT,
        place="own",
        most_restarts=0,
        about_seconds=90,
    ),
    Case(
        "replaced-by-newer",
        "a trigger while a run works, with concurrency.policy Replace",
        replaced_by_newer,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=120,
    ),
)
