from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ingestion_operator.status import (
    Delivery,
    Findings,
    Obstacle,
    announcements,
    next_look,
    pipeline_status,
    report_announcements,
    unreadable_status,
    with_delivery,
)

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import Condition, PipelineStatus, Run
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.runs.history import runs_of
from tests.support.objects import NOW, Body, at, job, manifest, pipeline, pod, settings

HOUR = timedelta(hours=1)
REFUSED = Rejected("UnknownTimeZone", "spec.schedule.timeZone 'Mars' is not in the IANA database")


def findings(found: Pipeline, runs: list[Run] | None = None, rejected: Rejected | None = None) -> Findings:
    """A look that found the CronJob as it should be."""
    return Findings(cronjob=cronjob(found, settings(), NOW), runs=runs or [], rejected=rejected)


def finished(state: str = "Complete", number: int = 1) -> list[Run]:
    """The history of one finished run."""
    return runs_of([job(f"j{number}", created=number, condition=state)], [], [], NOW)


def condition(status: PipelineStatus, kind: str) -> Condition:
    return next(found for found in status.conditions if found.type == kind)


def written(status: PipelineStatus) -> Body:
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


def test_a_status_is_equal_to_itself_after_being_written_and_read_and_computed_again_later() -> None:
    found = pipeline()
    runs = runs_of([job(condition="Complete")], [pod(exit_code=0)], [], NOW)
    first = pipeline_status(found, findings(found, runs), NOW)
    again = pipeline(status=written(first))
    assert again.status == first
    assert pipeline_status(again, findings(again, runs), NOW + HOUR) == first


def test_the_transition_time_moves_only_with_the_status_of_the_condition() -> None:
    found = pipeline()
    ready = pipeline_status(found, findings(found), NOW)
    other_reason = pipeline_status(
        pipeline(status=written(ready), generation=2), Findings(None, [], Rejected("A", "a")), NOW + HOUR
    )
    still = pipeline_status(
        pipeline(status=written(other_reason), generation=3), Findings(None, [], Rejected("B", "b")), NOW + 2 * HOUR
    )
    assert condition(ready, "Ready").last_transition_time == NOW
    assert condition(other_reason, "Ready").last_transition_time == NOW + HOUR
    assert condition(still, "Ready").last_transition_time == NOW + HOUR
    assert (condition(still, "Ready").reason, condition(still, "Ready").observed_generation) == ("B", 3)
    assert still.observed_generation == 3


def test_a_rejected_pipeline_is_not_ready_with_reason_and_message_of_the_rejection() -> None:
    found = pipeline()
    ready = condition(pipeline_status(found, findings(found, rejected=REFUSED), NOW), "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", REFUSED.reason, REFUSED.message)


@pytest.mark.parametrize(
    ("most", "limits", "remark"),
    [
        ("8Gi", {"memory": "2Gi"}, ""),
        ("2048Mi", {"memory": "2Gi"}, "its maxMemory 2048Mi is not above the container's limit of 2Gi"),
        ("1Gi", {"memory": "2Gi"}, "its maxMemory 1Gi is not above the container's limit of 2Gi"),
    ],
)
def test_readiness_says_where_on_out_of_memory_has_nothing_to_grow(most: str, limits: Body, remark: str) -> None:
    resources = {"container": {"resources": {"limits": limits}}}
    found = pipeline(retry={"onOutOfMemory": {"maxMemory": most}}, podTemplate=resources)
    ready = condition(pipeline_status(found, findings(found), NOW), "Ready")
    assert ready.status == "True"
    assert ready.message == "The CronJob is in place" + (
        f"; spec.retry.onOutOfMemory has no effect: {remark}" if remark else ""
    )


def test_readiness_says_that_a_container_without_a_limit_has_nothing_to_grow() -> None:
    found = pipeline(retry={"onOutOfMemory": {"maxMemory": "8Gi"}})
    body = deepcopy(cronjob(found, settings(), NOW))
    job_template = body["spec"]["jobTemplate"]
    del job_template["metadata"]["annotations"][constants.ANNOTATION_MEMORY_SIZES]
    del job_template["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    ready = condition(pipeline_status(found, Findings(body, [], None), NOW), "Ready")
    assert ready.message.endswith("spec.retry.onOutOfMemory has no effect: there is no memory limit")


def test_readiness_says_which_settings_of_the_entity_change_nothing() -> None:
    found = replace(pipeline(), ineffective="retryDelay, email")
    ready = condition(pipeline_status(found, findings(found), NOW), "Ready")
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
def test_the_scheduled_condition_says_why_a_pipeline_does_not_run_by_itself(changes: Body, reason: str) -> None:
    found = pipeline(**changes)
    scheduled = condition(pipeline_status(found, findings(found), NOW), "Scheduled")
    assert (scheduled.status == "True", scheduled.reason) == (reason == "Scheduled", reason)


def test_without_a_cronjob_nothing_is_scheduled() -> None:
    status = pipeline_status(pipeline(), Findings(None, [], REFUSED), NOW)
    assert condition(status, "Scheduled").reason == "NotReady"
    assert status.cron_job_name is None
    assert status.next_schedule_time is None


def test_a_cronjob_of_an_earlier_spec_is_told_as_it_is() -> None:
    earlier, now_refused = pipeline(), pipeline(schedule={"cron": "@hourly", "timeZone": "Mars/Olympus"})
    status = pipeline_status(now_refused, Findings(cronjob(earlier, settings(), NOW), [], REFUSED), NOW)
    assert condition(status, "Scheduled").message == "Runs at 0 2 * * * (UTC)"
    assert status.next_schedule_time == NOW.replace(hour=2) + timedelta(days=1)


def test_a_cronjob_still_suspended_from_an_earlier_spec_is_not_said_to_have_ended() -> None:
    status = pipeline_status(pipeline(), Findings(cronjob(pipeline(suspend=True), settings(), NOW), [], REFUSED), NOW)
    assert condition(status, "Scheduled").reason == "NotReady"


def test_a_cronjob_still_running_though_the_spec_says_suspend_is_told_as_running() -> None:
    status = pipeline_status(pipeline(suspend=True), Findings(cronjob(pipeline(), settings(), NOW), [], REFUSED), NOW)
    assert condition(status, "Scheduled").status == "True"


def test_the_next_schedule_time_lies_after_the_last_one_and_after_now() -> None:
    found = pipeline(schedule={"cron": "0 * * * *"})
    live = cronjob(found, settings(), NOW)
    live["status"] = {"lastScheduleTime": at(3600)}
    ahead = pipeline_status(found, Findings(live, [], None), NOW)
    live["status"] = {"lastScheduleTime": at(-7200)}
    behind = pipeline_status(found, Findings(live, [], None), NOW)
    assert ahead.next_schedule_time == NOW + 2 * HOUR
    assert behind.next_schedule_time == NOW + HOUR


@pytest.mark.parametrize(("ended", "succeeded"), [("Complete", "True"), ("Failed", "False")])
def test_the_last_finished_run_decides_lastrunsucceeded(ended: str, succeeded: str) -> None:
    found = pipeline()
    runs = runs_of([job("j1", created=1, condition=ended), job("j2", created=2)], [], [], NOW)
    last = condition(pipeline_status(found, findings(found, runs), NOW), "LastRunSucceeded")
    assert last.status == succeeded
    assert last.message.startswith("Run uid-j1: ")


def test_without_a_finished_run_there_is_no_word_on_the_last() -> None:
    found = pipeline()
    status = pipeline_status(found, findings(found, runs_of([job()], [], [], NOW)), NOW)
    assert {c.type for c in status.conditions} == {"Ready", "Scheduled"}


def test_active_and_queued_runs_are_listed_by_id() -> None:
    jobs = [job("j1", created=1), job("j2", created=2, suspended=True), job("j3", created=3, condition="Complete")]
    found = pipeline()
    status = pipeline_status(found, findings(found, runs_of(jobs, [pod(of="j1", running=True)], [], NOW)), NOW)
    assert (status.active_runs, status.queued_runs) == (["uid-j1"], ["uid-j2"])


def test_the_last_successful_time_outlives_the_record_of_its_run() -> None:
    found = pipeline()
    success = pipeline_status(found, findings(found, finished()), NOW)
    assert success.last_successful_time is not None
    later = pipeline(status=written(success))
    failure = pipeline_status(later, findings(later, finished("Failed", 2)), NOW)
    assert failure.last_successful_time == success.last_successful_time


def test_a_stored_spec_that_does_not_fit_any_more_keeps_the_status_but_for_readiness() -> None:
    found = pipeline()
    before = pipeline_status(found, findings(found, finished()), NOW)
    body = manifest() | {"status": written(before)}
    body["metadata"]["generation"] = 9
    after = unreadable_status(body, Rejected("InvalidSpec", "spec: no"), NOW + HOUR)
    assert (condition(after, "Ready").status, condition(after, "Ready").reason) == ("False", "InvalidSpec")
    assert after.observed_generation == 9
    assert after.runs == before.runs
    assert condition(after, "LastRunSucceeded") == condition(before, "LastRunSucceeded")


def test_the_next_look_is_shortly_after_the_next_tick_or_at_the_boundary_whichever_comes_first() -> None:
    found = pipeline(schedule={"cron": "0 13 * * *"})
    status = pipeline_status(found, findings(found), NOW)
    tick = NOW + HOUR
    assert next_look(status, None) == tick + timedelta(seconds=10)
    assert next_look(status, NOW + timedelta(minutes=1)) == NOW + timedelta(minutes=1)
    assert next_look(PipelineStatus(), NOW) == NOW
    assert next_look(PipelineStatus(), None) is None


def said(before: PipelineStatus, after: PipelineStatus) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in announcements(before, after)]


def test_readiness_is_announced_when_it_changes_or_its_reason_does() -> None:
    found = pipeline()
    ready = pipeline_status(found, findings(found), NOW)
    refused = pipeline_status(found, Findings(None, [], REFUSED), NOW)
    other = pipeline_status(found, Findings(None, [], Rejected("NameTaken", "x")), NOW)
    assert said(PipelineStatus(), ready) == []  # thousands may come at once
    assert said(PipelineStatus(), refused) == [("Warning", "UnknownTimeZone")]
    assert said(ready, refused) == [("Warning", "UnknownTimeZone")]
    assert said(refused, other) == [("Warning", "NameTaken")]
    assert said(other, ready) == [("Normal", "Reconciled")]
    assert said(ready, ready) == []


@pytest.mark.parametrize(
    ("ended", "message", "event"),
    [
        ("Complete", "", ("Normal", "RunEnded")),
        ("Failed", "", ("Warning", "RunFailed")),
        ("Failed", '{"version":1,"state":"stopped","reason":"OutsideSchedule"}', ("Normal", "RunEnded")),
    ],
)
def test_a_run_is_announced_once_when_it_starts_and_once_when_it_ends(
    ended: str, message: str, event: tuple[str, str]
) -> None:
    def status(runs: list[Run]) -> PipelineStatus:
        return PipelineStatus(runs=runs)

    queued = runs_of([job()], [], [], NOW)
    running = runs_of([job()], [pod(running=True)], queued, NOW)
    over = runs_of([job(condition=ended)], [pod(exit_code=3, message=message)], running, NOW)
    assert said(status([]), status(queued)) == []
    assert said(status(queued), status(running)) == [("Normal", "RunStarted")]
    assert said(status(running), status(running)) == []
    assert said(status(running), status(over)) == [event]
    assert said(status(over), status(over)) == []
    assert said(status([]), status(over)) == [event]


def test_several_runs_are_announced_oldest_first() -> None:
    runs = runs_of([job(f"j{n}", created=n, condition="Complete") for n in range(3)], [], [], NOW)
    texts = [event.message for event in announcements(PipelineStatus(), PipelineStatus(runs=runs))]
    assert [text.split()[1] for text in texts] == ["uid-j0", "uid-j1", "uid-j2"]


AWAY = Obstacle("the server is away", needs_somebody=False)
WRONG_TOKEN = Obstacle("the token is wrong", needs_somebody=True)


def with_reports(*reports: Any) -> list[Run]:
    """The history of finished runs, newest first, with what is known of their reports."""
    runs = runs_of([job(f"j{n}", created=n, condition="Failed") for n in range(len(reports))], [], [], NOW)
    return [run.model_copy(update={"report": report}) for run, report in zip(runs, reports, strict=True)]


@pytest.mark.parametrize(
    ("reports", "obstacle", "said"),
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
def test_the_reported_condition_says_whether_openmetadata_has_every_end(
    reports: list[Any], obstacle: Obstacle | None, said: Any
) -> None:
    found = pipeline()
    before = pipeline_status(found, findings(found, with_reports(*reports)), NOW)
    after = with_delivery(found, before, Delivery(obstacle=obstacle), NOW)
    told = [(c.status, c.reason) for c in after.conditions if c.type == "Reported"]
    assert told == ([said] if said else [])


def test_a_report_that_is_due_leaves_the_condition_alone_until_it_was_tried() -> None:
    for known, obstacle in ((["Done"], None), (["Pending"], AWAY)):
        found = pipeline()
        runs = with_reports(*known)
        status = with_delivery(
            found, pipeline_status(found, findings(found, runs), NOW), Delivery(obstacle=obstacle), NOW
        )
        again = pipeline(status=written(status), generation=2)
        due = pipeline_status(again, findings(again, with_reports("Pending", *known)), NOW + HOUR)
        assert condition(due, "Reported") == condition(status, "Reported").model_copy(update={"observed_generation": 2})


def test_what_was_delivered_is_noted_run_by_run_and_a_delivery_of_nothing_changes_nothing() -> None:
    found = pipeline()
    status = pipeline_status(found, findings(found, with_reports("Pending", "Pending", "Done")), NOW)
    first, second, third = status.runs
    after = with_delivery(found, status, Delivery({first.id: "Refused", second.id: "Done"}), NOW)
    assert [run.report for run in after.runs] == ["Refused", "Done", "Done"]
    assert first.id in condition(after, "Reported").message
    assert third == after.runs[2]
    assert with_delivery(found, status, Delivery(), NOW) == status


def test_an_obstacle_that_needs_somebody_is_announced_once_for_each_cause() -> None:
    found = pipeline()
    status = pipeline_status(found, findings(found, with_reports("Pending")), NOW)
    refused, away = Delivery(obstacle=WRONG_TOKEN), Delivery(obstacle=AWAY)
    (event,) = report_announcements(status, refused)
    assert (event.type, event.reason, event.message) == ("Warning", "ReportPending", WRONG_TOKEN.message)
    assert report_announcements(with_delivery(found, status, refused, NOW), refused) == []
    assert report_announcements(status, away) == []
    assert len(report_announcements(with_delivery(found, status, away, NOW), refused)) == 1
    assert report_announcements(status, Delivery()) == []


def test_a_message_as_long_as_a_status_takes_is_kept_and_a_longer_one_is_cut() -> None:
    found = pipeline()
    long: Any = Rejected("RefusedByKubernetes", "é" * 2000)
    ready = condition(pipeline_status(found, Findings(None, [], long), NOW), "Ready")
    assert len(ready.message.encode()) <= 1024
    assert ready.message.endswith("…")
    assert format_timestamp(ready.last_transition_time) == at(0)
