"""The status of a pipeline: conditions, runs, and what changes nothing."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.reconcile.observed import ActionFailure, CronJobResult
from ingestion_operator.reconcile.status import with_reports, with_results
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.reporting.results import ReportBlocker, ReportResult
from testing.objects import NOW, Body, at, job, pipeline, pod, settings
from testing.statuses import (
    REFUSED,
    condition_of,
    finished,
    history,
    in_place,
    record,
    status_of,
    written,
)

HOUR = timedelta(hours=1)
AWAY = ReportBlocker("the server is away", needs_action=False)
WRONG_TOKEN = ReportBlocker("the token is wrong", needs_action=True)


def blocked(blocker: Rejected = REFUSED) -> CronJobResult:
    """A pipeline that has no CronJob, and why."""
    return CronJobResult(blocker=blocker)


def test_a_status_written_and_computed_later_is_equal() -> None:
    runs = history([job(condition="Complete")], [pod(exit_code=0)])
    first = status_of(pipeline(), runs)
    again = pipeline(status=written(first))
    assert again.status == first
    assert status_of(again, runs, now=NOW + HOUR) == first


def test_the_transition_time_moves_with_the_status_alone() -> None:
    ready = status_of(pipeline())
    other_reason = status_of(
        pipeline(status=written(ready), generation=2), children=blocked(Rejected("A", "a")), now=NOW + HOUR
    )
    still = status_of(
        pipeline(status=written(other_reason), generation=3), children=blocked(Rejected("B", "b")), now=NOW + 2 * HOUR
    )
    assert condition_of(ready, "Ready").last_transition_time == NOW
    assert condition_of(other_reason, "Ready").last_transition_time == NOW + HOUR
    assert condition_of(still, "Ready").last_transition_time == NOW + HOUR
    assert (condition_of(still, "Ready").reason, condition_of(still, "Ready").observed_generation) == ("B", 3)
    assert still.observed_generation == 3


def test_a_blocker_is_the_reason_why_a_pipeline_is_not_ready() -> None:
    children = replace(in_place(pipeline()), blocker=REFUSED)
    ready = condition_of(status_of(pipeline(), children=children), "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", REFUSED.reason, REFUSED.message)


def test_a_failed_write_leaves_readiness_of_the_same_spec_alone() -> None:
    failure = ActionFailure("CronJob data/nightly: apply", "timed out")
    failed = replace(in_place(pipeline()), failure=failure)
    ready = status_of(pipeline())
    assert status_of(pipeline(status=written(ready)), children=failed, now=NOW + HOUR) == ready
    edited = status_of(pipeline(status=written(ready), generation=2), children=failed)
    condition = condition_of(edited, "Ready")
    assert (condition.status, condition.reason, condition.observed_generation) == ("False", "NotReconciled", 2)
    assert condition.message.startswith("CronJob data/nightly: apply failed; will be retried")


def test_a_wrong_kill_is_named_once_while_writes_fail() -> None:
    failed = replace(in_place(pipeline()), failure=ActionFailure("CronJob data/nightly: apply", "timed out"))
    first = status_of(replace(pipeline(), kill="all"))
    later = status_of(replace(pipeline(status=written(first)), kill="all"), children=failed)
    assert condition_of(later, "Ready").message == condition_of(first, "Ready").message
    assert condition_of(first, "Ready").message.count("'all'") == 1


@pytest.mark.parametrize(
    ("most", "limits", "remark"),
    [
        ("8Gi", {"memory": "2Gi"}, ""),
        ("2048Mi", {"memory": "2Gi"}, "its maxMemory 2048Mi is not above the container's limit of 2Gi"),
        ("1Gi", {"memory": "2Gi"}, "its maxMemory 1Gi is not above the container's limit of 2Gi"),
    ],
)
def test_readiness_names_a_memory_limit_that_cannot_grow(most: str, limits: Body, remark: str) -> None:
    resources = {"container": {"resources": {"limits": limits}}}
    found = pipeline(retry={"onOutOfMemory": {"maxMemory": most}}, podTemplate=resources)
    ready = condition_of(status_of(found), "Ready")
    assert ready.status == "True"
    assert ready.message == "The CronJob is in place" + (
        f"; spec.retry.onOutOfMemory has no effect: {remark}" if remark else ""
    )


def test_readiness_names_a_missing_memory_limit() -> None:
    found = pipeline(retry={"onOutOfMemory": {"maxMemory": "8Gi"}})
    body = deepcopy(cronjob(found, settings(), NOW))
    job_template = body["spec"]["jobTemplate"]
    del job_template["metadata"]["annotations"][constants.ANNOTATION_MEMORY_LIMITS]
    del job_template["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    ready = condition_of(status_of(found, children=CronJobResult(record(body))), "Ready")
    assert ready.message.endswith("spec.retry.onOutOfMemory has no effect: the container has no memory limit")


def test_readiness_names_settings_of_the_entity_without_effect() -> None:
    found = replace(pipeline(), ignored_fields="retryDelay, email")
    ready = condition_of(status_of(found), "Ready")
    assert ready.status == "True"
    assert ready.message.endswith("without effect here: retryDelay, email")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "Scheduled"),
        ({"schedule": None}, "OnDemand"),
        ({"suspend": True}, "Suspended"),
        ({"schedule": {"cron": "@daily", "startDate": at(60)}}, "NotStarted"),
        ({"schedule": {"cron": "@daily", "endDate": at(-60)}}, "Ended"),
        ({"schedule": {"cron": "@daily", "startDate": at(60)}, "suspend": True}, "Suspended"),
    ],
)
def test_the_scheduled_condition_has_the_cause(changes: Body, reason: str) -> None:
    scheduled = condition_of(status_of(pipeline(**changes)), "Scheduled")
    assert (scheduled.status == "True", scheduled.reason) == (reason == "Scheduled", reason)


def test_without_a_cronjob_nothing_is_scheduled() -> None:
    status = status_of(pipeline(), children=blocked())
    assert condition_of(status, "Scheduled").reason == "NotReady"
    assert status.cron_job_name is None
    assert status.next_schedule_time is None


def test_a_cronjob_of_an_earlier_spec_is_described_as_it_is() -> None:
    refused = pipeline(schedule={"cron": "@hourly", "timeZone": "Mars/Olympus"})
    status = status_of(refused, children=replace(in_place(pipeline()), blocker=REFUSED))
    assert condition_of(status, "Scheduled").message == "Runs at 0 2 * * * (UTC)"
    assert status.next_schedule_time == NOW.replace(hour=2) + timedelta(days=1)


def test_a_cronjob_suspended_by_an_earlier_spec_is_not_ready() -> None:
    children = replace(in_place(pipeline(suspend=True)), blocker=REFUSED)
    assert condition_of(status_of(pipeline(), children=children), "Scheduled").reason == "NotReady"


def test_a_cronjob_that_fires_despite_suspend_is_scheduled() -> None:
    children = replace(in_place(pipeline()), blocker=REFUSED)
    assert condition_of(status_of(pipeline(suspend=True), children=children), "Scheduled").status == "True"


def test_the_next_schedule_time_lies_after_the_last_one_and_now() -> None:
    found = pipeline(schedule={"cron": "0 * * * *"})
    ahead = status_of(found, children=in_place(found, {"lastScheduleTime": at(3600)}))
    behind = status_of(found, children=in_place(found, {"lastScheduleTime": at(-7200)}))
    assert ahead.next_schedule_time == NOW + 2 * HOUR
    assert behind.next_schedule_time == NOW + HOUR


@pytest.mark.parametrize(("ended", "succeeded"), [("Complete", "True"), ("Failed", "False")])
def test_the_last_finished_run_decides_lastrunsucceeded(ended: str, succeeded: str) -> None:
    runs = history([job("j1", created=1, condition=ended), job("j2", created=2)])
    last = condition_of(status_of(pipeline(), runs), "LastRunSucceeded")
    assert last.status == succeeded
    assert last.message.startswith("Run uid-j1: ")


def test_without_a_finished_run_two_conditions_suffice() -> None:
    status = status_of(pipeline(), history([job()]))
    assert [c.type for c in status.conditions] == ["Ready", "Scheduled"]


def test_active_and_queued_runs_are_listed_by_id_and_counted() -> None:
    jobs = [job("j1", created=1), job("j2", created=2, suspended=True), job("j3", created=3, condition="Complete")]
    status = status_of(pipeline(), history(jobs, [pod(of="j1", running=True)]))
    assert (status.active_runs, status.queued_runs) == (["uid-j1"], ["uid-j2"])
    assert (status.active, status.queued) == (1, 1)


def test_two_hundred_runs_are_counted_and_a_status_has_a_bound() -> None:
    jobs = [job(f"j{n:03}", created=n, suspended=True) for n in range(198)]
    running = [job(name, created=200) for name in ("r1", "r2")]
    pods = [pod(f"{name}-a", of=name, running=True) for name in ("r1", "r2")]
    status = status_of(pipeline(), history([*jobs, *running], pods))
    assert (status.active, status.queued) == (2, 198)
    assert (len(status.active_runs), len(status.queued_runs)) == (2, constants.STATUS_IDS_LIMIT)
    assert len(status.runs) == constants.STATUS_RUNS_LIMIT
    assert {run.id for run in status.runs if run.state == "running"} == {"uid-r1", "uid-r2"}


def test_the_last_successful_time_outlives_the_record_of_its_run() -> None:
    success = status_of(pipeline(), finished())
    assert success.last_successful_time is not None
    failure = status_of(pipeline(status=written(success)), finished("Failed", 2))
    assert failure.last_successful_time == success.last_successful_time


def test_admissions_changes_are_kept_until_the_next_apply() -> None:
    changed = status_of(pipeline(), children=replace(in_place(pipeline()), overridden="Admission changed spec.x"))
    assert condition_of(changed, "Overridden").message == "Admission changed spec.x"
    later = pipeline(status=written(changed))
    assert status_of(later, now=NOW + HOUR) == changed
    unchanged = status_of(later, children=replace(in_place(later), overridden=""))
    assert [c.type for c in unchanged.conditions] == ["Ready", "Scheduled"]


def test_the_manager_of_a_contested_cronjob_is_named() -> None:
    status = status_of(pipeline(), children=replace(in_place(pipeline()), contested="kubectl-edit"))
    assert "'kubectl-edit'" in condition_of(status, "Contested").message
    assert [c.type for c in status_of(pipeline(status=written(status))).conditions] == ["Ready", "Scheduled"]


def reported_as(*reports: Any) -> list[Run]:
    """The history of finished runs, newest first, with what is known of their reports."""
    runs = history([job(f"j{n}", created=n, condition="Failed") for n in range(len(reports))])
    return [run.model_copy(update={"report": report}) for run, report in zip(runs, reports, strict=True)]


def results(
    status: PipelineStatus, runs: list[Run], result: ReportResult, failures: list[ActionFailure] | None = None
) -> PipelineStatus:
    """The status once reports and actions were tried."""
    return with_results(pipeline(), status, with_reports(runs, result), failures or [], result, NOW)


@pytest.mark.parametrize(
    ("reports", "blocker", "expected"),
    [
        ([], None, None),
        (["Done"], None, ("True", "AllReported")),
        (["Pending"], None, None),
        (["Pending", "Done"], AWAY, ("False", "ReportPending")),
        (["Done", "Pending"], WRONG_TOKEN, ("False", "ReportPending")),
        (["Done", "Refused"], None, ("False", "ReportRefused")),
        (["Pending", "Refused"], AWAY, ("False", "ReportPending")),
        ([None], AWAY, ("False", "ReportPending")),
    ],
)
def test_reported_is_true_once_openmetadata_has_every_end(
    reports: list[Any], blocker: ReportBlocker | None, expected: Any
) -> None:
    runs = reported_as(*reports)
    after = results(status_of(pipeline(), runs), runs, ReportResult(blocker=blocker))
    found = [(c.status, c.reason) for c in after.conditions if c.type == "Reported"]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize(("known", "blocker"), [("Done", None), ("Pending", AWAY)])
def test_a_due_report_leaves_the_condition_until_it_was_tried(known: Any, blocker: ReportBlocker | None) -> None:
    runs = reported_as(known)
    status = results(status_of(pipeline(), runs), runs, ReportResult(blocker=blocker))
    due = status_of(pipeline(status=written(status), generation=2), reported_as("Pending", known), now=NOW + HOUR)
    expected = condition_of(status, "Reported").model_copy(update={"observed_generation": 2})
    assert condition_of(due, "Reported") == expected


def test_reports_are_recorded_run_by_run() -> None:
    runs = reported_as("Pending", "Pending", "Done")
    status = status_of(pipeline(), runs)
    first, second, third = status.runs
    after = results(status, runs, ReportResult({first.id: "Refused", second.id: "Done"}))
    assert [run.report for run in after.runs] == ["Refused", "Done", "Done"]
    assert first.id in condition_of(after, "Reported").message
    assert third == after.runs[2]
    assert results(status, runs, ReportResult()) == status


def test_a_failed_action_names_object_verb_and_error() -> None:
    failures = [ActionFailure("Job data/a: admit", "denied"), ActionFailure("Job data/b: stop", "denied")]
    status = results(status_of(pipeline()), [], ReportResult(), failures)
    failed = condition_of(status, "ActionsFailed")
    assert failed.status == "True"
    assert failed.message == "Job data/a: admit failed, and 1 more; will be retried: denied"
    later = pipeline(status=written(status))
    assert status_of(later, now=NOW + HOUR) == status, "it stays until the actions were tried again"
    assert [c.type for c in results(status_of(later), [], ReportResult()).conditions] == ["Ready", "Scheduled"]


def test_all_conditions_together_are_stable_after_one_write() -> None:
    children = replace(in_place(pipeline()), overridden="x", contested="y")
    failures = [ActionFailure("Job data/a: admit", "denied")]
    runs = reported_as("Done", "Pending")

    def reconciled(before: PipelineStatus | None) -> PipelineStatus:
        found = pipeline(status=written(before) if before else None)
        first = status_of(found, runs, children)
        result = ReportResult(blocker=AWAY)
        return with_results(found, first, runs, failures, result, NOW)

    once = reconciled(None)
    assert len(once.conditions) == 7
    found = pipeline(status=written(once))
    assert status_of(found, runs, replace(children, overridden=None)) == once
    assert reconciled(once) == once


def test_a_message_is_cut_to_what_a_status_takes() -> None:
    children = blocked(Rejected("CronJobRejected", "é" * 2000))
    ready = condition_of(status_of(pipeline(), children=children), "Ready")
    assert len(ready.message.encode()) <= constants.MESSAGE_LIMIT_BYTES
    assert ready.message.endswith("…")
    assert format_timestamp(ready.last_transition_time) == at(0)
