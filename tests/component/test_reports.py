"""Reports to OpenMetadata within looks at pipelines: what is read and written, when, and what the status tells."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Forbidden, Invalid, NotFound, Unavailable
from ingestion_operator.models.resource import parse_status
from ingestion_operator.models.status import Condition, PipelineStatus, Run
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.refresh import PipelineKey, Refresher
from ingestion_operator.reporter import Reporter
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import Call, FakeCluster
from tests.support.fake_logs import FakeLogs
from tests.support.fake_sink import FakeSink, Row, reporter_over
from tests.support.objects import NAME, NAMESPACE, NOW, Body, at, job, manifest, pod, settings

KEY = PipelineKey(NAMESPACE, NAME)
RUN = "uid-nightly-1"
STATUS = Call("apply", "ingestionpipelines", NAME, "status")
TOKEN = {"name": "bot", "key": "token"}
SERVER = {"hostPort": "http://openmetadata:8585/api", "tokenSecretRef": TOKEN}
AWAY = Unavailable("PUT http://openmetadata: connection refused")
OUT_OF_MEMORY: Body = {"exit_code": 137, "terminated_reason": "OOMKilled"}
PROVISIONAL = [{"name": "Runner", "errors": 1, "failures": [{"name": "Interrupted", "error": "x", "stackTrace": "y"}]}]


def status(cluster: FakeCluster, name: str = NAME) -> PipelineStatus:
    return parse_status(next(body for body in cluster.all(PIPELINES) if body["metadata"]["name"] == name))


def only_run(cluster: FakeCluster) -> Run:
    (run,) = status(cluster).runs
    return run


def reported(cluster: FakeCluster, name: str = NAME) -> Condition | None:
    return next((c for c in status(cluster, name).conditions if c.type == "Reported"), None)


def reason(cluster: FakeCluster) -> str | None:
    condition = reported(cluster)
    return condition.reason if condition else None


def events(cluster: FakeCluster) -> list[str]:
    return [event["reason"] for event in cluster.all(EVENTS)]


def secret(token: str) -> Body:
    data = {"token": base64.b64encode(f"{token}\n".encode()).decode()}
    return {"metadata": {"name": "bot", "namespace": NAMESPACE}, "data": data}


def look(refresher: Refresher, *observed: Body) -> datetime | None:
    return refresher.refresh(KEY, list(observed))


def row(state: str, ended: float | None = None, **more: Any) -> Row:
    seconds = NOW.timestamp() + (ended or 0)
    return {"runId": RUN, "pipelineState": state} | ({"endDate": int(seconds * 1000)} if ended else {}) | more


@pytest.fixture
def ended(cluster: FakeCluster) -> FakeCluster:
    """A pipeline whose only run has just run out of memory; at the server it is running."""
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    return cluster


def test_a_run_that_ran_out_of_memory_is_closed_in_the_same_look(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, logs: FakeLogs
) -> None:
    logs.texts["nightly-1-a"] = b"first\nlast words\n"
    sink.rows[RUN] = row("running")
    look(refresher)
    (step,) = sink.rows[RUN]["status"]
    assert sink.rows[RUN]["pipelineState"] == "failed"
    assert step["failures"][0]["name"] == "OutOfMemory"
    assert step["failures"][0]["stackTrace"] == "first\nlast words"
    assert (only_run(ended).report, reason(ended)) == ("Done", "AllReported")
    assert sink.calls == [("read", "shop.nightly", RUN), ("write", "shop.nightly", RUN)]


def test_that_a_report_is_due_is_written_before_the_server_is_called(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    seen: list[tuple[str | None, str | None]] = []
    sink.before_call = lambda: seen.append((only_run(ended).report, reason(ended)))
    look(refresher)
    assert seen == [("Pending", None)] * 2
    assert ended.writes.count(STATUS) == 2


def test_a_second_look_neither_calls_nor_writes(ended: FakeCluster, sink: FakeSink, refresher: Refresher) -> None:
    look(refresher)
    ended.calls.clear()
    sink.calls.clear()
    look(refresher)
    assert (ended.writes, sink.calls) == ([], [])


@pytest.mark.parametrize("state", ["success", "partialSuccess", "failed"])
def test_the_word_of_a_runner_that_has_read_the_row_saves_request_and_write(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, state: str
) -> None:
    told = json.dumps({"version": 1, "state": state, "reason": "R", "reportedBy": "workflow"})
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    look(refresher)
    cluster.calls.clear()
    cluster.put(PODS, pod(exit_code=int(state == "failed"), message=told))
    look(refresher)
    assert (only_run(cluster).state, only_run(cluster).report, reason(cluster)) == (state, "Done", "AllReported")
    assert sink.calls == []
    assert cluster.writes.count(STATUS) == 1


def test_a_final_row_is_read_and_left_alone(ended: FakeCluster, sink: FakeSink, refresher: Refresher) -> None:
    final = sink.rows[RUN] = row("success", 49)
    look(refresher)
    assert sink.rows[RUN] == final
    assert (sink.writes, only_run(ended).report) == ([], "Done")


def test_before_the_first_run_has_ended_there_is_no_word_on_reports(cluster: FakeCluster, refresher: Refresher) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    look(refresher)
    assert reported(cluster) is None


def _killed(condition: str | None = "FailureTarget") -> Body:
    body = job(condition=condition, reason="DeadlineExceeded", ended=30)
    body["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(29)
    return body


def test_a_killed_run_is_reported_once_its_pod_has_ended_and_not_while_the_parent_may_still_write(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, _killed())
    cluster.put(PODS, pod(running=True))
    sink.rows[RUN] = row("running")
    look(refresher)
    assert (only_run(cluster).state, only_run(cluster).reason, sink.calls) == ("running", "Stopping", [])
    sink.rows[RUN] = row("failed", 48, status=PROVISIONAL)
    cluster.put(JOBS, _killed("Failed"))
    cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    look(refresher, pod(exit_code=143, ended=49))
    (step,) = sink.rows[RUN]["status"]
    assert (sink.rows[RUN]["pipelineState"], step["failures"][0]["name"]) == ("stopped", "Killed")
    assert "exit code 143" in step["failures"][0]["error"]
    assert step["failures"][0]["stackTrace"] == "y"
    assert (sink.writes, only_run(cluster).report) == ([RUN], "Done")


def test_a_pod_that_is_lost_with_its_node_does_not_hold_a_report_for_ever(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, _killed())
    cluster.put(PODS, pod(running=True, node_lost=True))
    assert look(refresher) == clock.moment + timedelta(seconds=5)
    assert (only_run(cluster).state, only_run(cluster).report, sink.calls) == ("stopped", "Pending", [])
    clock.forward(minutes=11)
    look(refresher)
    assert (sink.writes, only_run(cluster).report) == ([RUN], "Done")


def test_a_run_whose_job_was_deleted_waits_for_its_pod_too(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    look(refresher)
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    cluster.put(PODS, pod(running=True))  # it has its grace period
    look(refresher)
    assert (only_run(cluster).reason, sink.calls) == ("JobDeleted", [])
    cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    look(refresher)
    assert sink.rows[RUN]["status"][0]["failures"][0]["name"] == "JobDeleted"


def test_a_run_that_was_killed_in_the_queue_is_told_as_stopped_and_loses_its_job_after_its_record(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    waiting = job(suspended=True, scheduled=False)
    waiting["metadata"]["annotations"] |= {constants.ANNOTATION_STOP: at(5), constants.ANNOTATION_REQUESTED_AT: at(1)}
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, waiting)
    look(refresher)
    assert sink.rows[RUN]["pipelineState"] == "stopped"
    assert cluster.all(JOBS) == []
    assert [call.verb for call in cluster.writes if call.plural != "events"] == ["apply", "apply", "delete", "apply"]
    assert only_run(cluster).report == "Done"


def test_a_run_that_refused_to_start_is_told_only_if_somebody_opened_a_row(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    refusal = json.dumps({"version": 1, "state": "stopped", "reason": "OutsideSchedule", "reportedBy": "nobody"})
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(exit_code=3, message=refusal))
    look(refresher)
    assert (sink.rows, only_run(cluster).report) == ({}, "Done")


@pytest.mark.parametrize(
    ("server", "state"),
    [({"version": "2.0"}, "stopped"), ({"version": "1.13"}, "failed"), ({}, "stopped")],
)
def test_a_state_is_told_in_the_words_of_the_servers_version(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, server: Body, state: str
) -> None:
    cluster.put(PIPELINES, manifest(server={"hostPort": "http://o/api"} | server))
    cluster.put(JOBS, _killed("Failed"))
    look(refresher)
    assert sink.rows[RUN]["pipelineState"] == state


@pytest.mark.parametrize("error", [NotFound("no such pipeline", code=404), Invalid("no", code=400)])
def test_a_row_that_the_server_refuses_is_not_tried_again_and_told(
    ended: FakeCluster,
    sink: FakeSink,
    refresher: Refresher,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink.refuses_writes = error
    look(refresher)
    assert only_run(ended).report == "Refused"
    condition = reported(ended)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ReportRefused")
    assert RUN in condition.message
    assert str(error) in caplog.text
    sink.calls.clear()
    look(refresher)
    assert sink.calls == []


def test_an_absent_server_is_told_in_the_status_without_an_event_and_reported_to_when_it_is_back(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, reporter: Reporter, clock: FakeClock
) -> None:
    sink.down = AWAY
    look(refresher)
    condition = reported(ended)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ReportPending")
    assert "http://openmetadata:8585/api does not answer" in condition.message
    assert events(ended) == ["Reconciled", "RunFailed"]
    ended.calls.clear()
    for _ in range(600):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            refresher.refresh(PipelineKey(namespace, name), [])
    assert ended.writes == []
    assert 10 <= len(sink.calls) <= 30
    sink.down = None
    clock.forward(seconds=60)
    assert reporter.due() == [(NAMESPACE, NAME)]
    look(refresher)
    assert (sink.writes, only_run(ended).report, reason(ended)) == ([RUN], "Done", "AllReported")
    assert reporter.due() == []
    since = reported(ended)
    assert since is not None
    assert since.last_transition_time == clock.moment


def test_many_pipelines_with_an_absent_server_cost_one_probe_at_a_time(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, reporter: Reporter, clock: FakeClock
) -> None:
    sink.down = AWAY
    names = [f"p{number}" for number in range(60)]
    for name in names:
        cluster.put(PIPELINES, manifest(name))
        cluster.put(JOBS, job(f"{name}-1", condition="Failed", pipeline_name=name))
        refresher.refresh(PipelineKey(NAMESPACE, name), [])
    assert len(sink.calls) == 1
    assert {(c := reported(cluster, name)) and c.reason for name in names} == {"ReportPending"}
    cluster.calls.clear()
    for _ in range(3600):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            refresher.refresh(PipelineKey(namespace, name), [])
    assert 60 <= len(sink.calls) <= 150
    assert cluster.writes == []
    assert len([call for call in cluster.calls if call.verb == "get"]) < 1000
    sink.down = None
    for _ in range(120):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            refresher.refresh(PipelineKey(namespace, name), [])
    assert len(sink.rows) == 60
    assert {status(cluster, name).runs[0].report for name in names} == {"Done"}


def test_a_restarted_operator_knows_what_is_due_and_writes_nothing_while_the_server_is_away(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, clock: FakeClock
) -> None:
    def restarted() -> Refresher:
        return Refresher(ended, settings, clock, reporter_over(ended, sink, settings, clock))

    sink.down = AWAY
    look(refresher)
    ended.calls.clear()
    look(restarted())
    assert ended.writes == []
    sink.down = None
    ended.delete(JOBS, NAMESPACE, "nightly-1")
    look(restarted())
    assert (sink.writes, only_run(ended).report) == ([RUN], "Done")


def test_what_ended_while_the_operator_was_away_is_closed_on_its_return(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    look(refresher)
    sink.rows[RUN] = row("running")
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    look(Refresher(cluster, settings, clock, reporter_over(cluster, sink, settings, clock)))
    assert sink.rows[RUN]["pipelineState"] == "failed"


@pytest.mark.parametrize("lost", ["the request", "the answer", "what came of it"])
def test_a_look_that_is_cut_off_is_made_good_by_the_next_with_one_row(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, lost: str
) -> None:
    sink.rows[RUN] = row("running")
    crash = ZeroDivisionError("the operator is killed here")
    if lost == "the request":
        sink.down = crash
    elif lost == "the answer":
        sink.after_write = lambda: 1 / 0
    else:
        sink.after_write = lambda: ended.fail("apply", crash, plural="ingestionpipelines")
    with pytest.raises(ZeroDivisionError):
        look(refresher)
    sink.down, sink.after_write = None, lambda: None
    assert only_run(ended).report == "Pending"
    look(refresher)
    assert (sink.writes, only_run(ended).report) == ([RUN], "Done")


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (None, "Secret data/bot does not exist"),
        ({**secret("x"), "data": {}}, "Secret data/bot has no key 'token'"),
        (secret("no\ttoken"), "does not hold a token"),
        (secret(""), "does not hold a token"),
        ({**secret("x"), "data": {"token": "!"}}, "does not hold a token"),
    ],
)
def test_a_token_that_is_not_there_is_told_with_one_event_and_the_report_follows(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, clock: FakeClock, body: Body | None, fix: str
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    if body is not None:
        ended.put(SECRETS, body)
    for _ in range(3):
        again = look(refresher)
        assert again is not None
        assert again <= clock.moment + timedelta(seconds=30)
        clock.moment = again
    condition = reported(ended)
    assert condition is not None
    assert (condition.reason, sink.calls) == ("ReportPending", [])
    assert fix in condition.message
    assert events(ended).count("ReportPending") == 1
    ended.put(SECRETS, secret("good"))
    look(refresher)
    assert (sink.writes, [server.token for server in sink.servers]) == ([RUN], ["good"] * 2)


def test_a_refused_token_is_told_with_one_event_and_the_report_follows_once_it_is_right(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, reporter: Reporter, clock: FakeClock
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("wrong"))
    sink.before_call = lambda: setattr(
        sink, "down", None if sink.servers[-1].token == "good" else Forbidden("answered with 401", code=401)
    )
    look(refresher)
    condition = reported(ended)
    assert condition is not None
    assert condition.reason == "ReportPending"
    assert "refuses reports (HTTP 401) with the token in Secret data/bot, key 'token'" in condition.message
    ended.calls.clear()
    for _ in range(300):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            refresher.refresh(PipelineKey(namespace, name), [])
    assert ended.writes == []
    assert events(ended).count("ReportPending") == 1
    assert "wrong" not in json.dumps(ended.all(PIPELINES) + ended.all(EVENTS))
    ended.put(SECRETS, secret("good"))
    clock.forward(seconds=60)
    for namespace, name in reporter.due():
        refresher.refresh(PipelineKey(namespace, name), [])
    assert (sink.writes, only_run(ended).report, reason(ended)) == ([RUN], "Done", "AllReported")


def test_a_pipeline_with_another_token_is_not_kept_from_reporting(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("wrong"))
    ended.put(PIPELINES, manifest("other"))
    ended.put(JOBS, job("other-1", condition="Failed", pipeline_name="other"))
    sink.down = Forbidden("answered with 401", code=401)
    look(refresher)
    sink.down = None
    refresher.refresh(PipelineKey(NAMESPACE, "other"), [])
    assert sink.writes == ["uid-other-1"]


def test_a_missing_right_to_read_the_secret_is_told(ended: FakeCluster, sink: FakeSink, refresher: Refresher) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.fail("get", Forbidden("secrets is forbidden", code=403), plural="secrets", times=2)
    look(refresher)
    condition = reported(ended)
    assert condition is not None
    assert "may not read Secret data/bot" in condition.message
    assert sink.calls == []


def test_reports_of_runs_that_ended_before_the_failure_are_kept(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    cluster.put(PIPELINES, manifest())
    for number in range(3):
        cluster.put(JOBS, job(f"j{number}", created=number, condition="Failed"))

    def third_time() -> None:
        sink.down = AWAY if len(sink.calls) >= 5 else None

    sink.before_call = third_time
    look(refresher)
    assert [run.report for run in status(cluster).runs] == ["Done", "Done", "Pending"]
    assert reason(cluster) == "ReportPending"


def test_a_pipeline_with_many_slow_reports_gives_its_worker_back(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    for number in range(10):
        cluster.put(JOBS, job(f"j{number}", created=number, condition="Failed"))
    sink.before_call = lambda: clock.forward(seconds=2)
    looks = 0
    while any(run.report != "Done" for run in status(cluster).runs) or not looks:
        began, calls = clock.moment, len(sink.calls)
        again = look(refresher)
        assert clock.moment - began <= timedelta(seconds=14)
        assert len(sink.calls) > calls
        looks += 1
        assert again is not None
    assert looks > 1
    assert len(sink.writes) == 10


def test_a_pipeline_whose_spec_is_unusable_still_reports(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    ended.put(PIPELINES, manifest(schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}))
    look(refresher)
    assert sink.writes == [RUN]


def test_an_unexpected_error_leaves_the_server_free_for_the_next_call(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    sink.down = ZeroDivisionError("a mistake of this program")
    for _ in range(8):
        with pytest.raises(ZeroDivisionError):
            look(refresher)
    sink.down = None
    look(refresher)
    assert only_run(ended).report == "Done"


@pytest.mark.parametrize("error", [NotFound("gone", code=404), Invalid("not started", code=400), AWAY])
def test_a_log_that_cannot_be_read_does_not_hold_up_the_report(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher, logs: FakeLogs, error: Exception
) -> None:
    logs.unreadable = error
    look(refresher)
    assert only_run(ended).report == "Done"
    assert "stackTrace" not in sink.rows[RUN]["status"][0]["failures"][0]


def test_unreported_runs_stay_in_the_status_however_many_come_after(
    cluster: FakeCluster, sink: FakeSink, refresher: Refresher, reporter: Reporter, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("first", condition="Failed"))
    sink.down = AWAY
    look(refresher)
    cluster.delete(JOBS, NAMESPACE, "first")
    told = json.dumps({"version": 1, "state": "success", "reason": "Succeeded", "reportedBy": "workflow"})
    for number in range(1, 30):
        name = f"j{number}"
        cluster.put(JOBS, job(name, created=number * 60, condition="Complete"))
        cluster.put(PODS, pod(f"{name}-a", of=name, created=number * 60, exit_code=0, message=told))
        look(refresher)
        cluster.delete(JOBS, NAMESPACE, name)
    assert len(status(cluster).runs) == constants.STATUS_RUNS_LIMIT
    assert [run.id for run in status(cluster).runs if run.is_unreported] == ["uid-first"]
    sink.down = None
    clock.forward(minutes=5)
    assert reporter.due() == [(NAMESPACE, NAME)]
    look(refresher)
    assert sink.writes == ["uid-first"]


def test_a_status_of_a_version_that_noted_no_reports_is_made_good(
    ended: FakeCluster, sink: FakeSink, refresher: Refresher
) -> None:
    look(refresher)

    def forget(body: Body) -> None:
        for run in body["status"]["runs"]:
            del run["report"]

    ended.edit(PIPELINES, NAMESPACE, NAME, forget)
    look(refresher)
    assert (only_run(ended).report, sink.writes) == ("Done", [RUN])
