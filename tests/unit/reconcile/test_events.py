"""Events: one for each change that a person should know of."""

from dataclasses import replace

import pytest

from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.errors import Rejected
from ingestion_operator.reconcile.events import events
from ingestion_operator.reconcile.observed import ActionFailure, CronJobResult
from ingestion_operator.reconcile.status import with_results
from ingestion_operator.reporting.results import ReportBlocker, ReportResult
from testing.objects import NOW, job, pipeline, pod
from testing.statuses import REFUSED, finished, history, in_place, status_of

AWAY = ReportBlocker("the server is away", needs_action=False)
WRONG_TOKEN = ReportBlocker("the token is wrong", needs_action=True)


def reasons(before: PipelineStatus, after: PipelineStatus) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in events(before, after, None)]


def test_readiness_gets_an_event_when_it_or_its_reason_changes() -> None:
    ready = status_of(pipeline())
    refused = status_of(pipeline(), children=CronJobResult(blocker=REFUSED))
    other = status_of(pipeline(), children=CronJobResult(blocker=Rejected("NameConflict", "x")))
    assert reasons(PipelineStatus(), ready) == []  # thousands may come at once
    assert reasons(PipelineStatus(), refused) == [("Warning", "UnknownTimeZone")]
    assert reasons(ready, refused) == [("Warning", "UnknownTimeZone")]
    assert reasons(refused, other) == [("Warning", "NameConflict")]
    assert reasons(other, ready) == [("Normal", "Reconciled")]
    assert reasons(ready, ready) == []


@pytest.mark.parametrize(
    ("ended", "message", "event"),
    [
        ("Complete", "", ("Normal", "RunEnded")),
        ("Failed", "", ("Warning", "RunFailed")),
        ("Failed", '{"version":1,"state":"stopped","reason":"OutsideSchedule"}', ("Normal", "RunEnded")),
    ],
)
def test_a_run_gets_one_event_for_its_start_and_one_for_its_end(
    ended: str, message: str, event: tuple[str, str]
) -> None:
    def status(runs: list[Run]) -> PipelineStatus:
        return PipelineStatus(runs=runs)

    queued = history([job()])
    running = history([job()], [pod(running=True)], queued)
    over = history([job(condition=ended)], [pod(exit_code=3, message=message)], running)
    assert reasons(status([]), status(queued)) == []
    assert reasons(status(queued), status(running)) == [("Normal", "RunStarted")]
    assert reasons(status(running), status(running)) == []
    assert reasons(status(running), status(over)) == [event]
    assert reasons(status(over), status(over)) == []
    assert reasons(status([]), status(over)) == [event]


def test_events_of_several_runs_come_oldest_first() -> None:
    runs = history([job(f"j{n}", created=n, condition="Complete") for n in range(3)])
    texts = [event.message for event in events(PipelineStatus(), PipelineStatus(runs=runs), None)]
    assert [text.split()[1] for text in texts] == ["uid-j0", "uid-j1", "uid-j2"]


def test_changes_of_admission_and_contests_get_one_event_each() -> None:
    ready, children = status_of(pipeline()), in_place(pipeline())
    overridden = status_of(pipeline(), children=replace(children, overridden="x"))
    contested = status_of(pipeline(), children=replace(children, contested="x"))
    assert reasons(ready, overridden) == [("Warning", "Overridden")]
    assert reasons(ready, contested) == [("Warning", "Contested")]
    assert reasons(overridden, overridden) == reasons(contested, contested) == []
    assert reasons(overridden, status_of(pipeline(), children=replace(children, overridden="y"))) != []


def test_failed_actions_get_one_event_for_each_message() -> None:
    ready = status_of(pipeline())

    def failed(error: str) -> PipelineStatus:
        failures = [ActionFailure("Job data/a: admit", error)]
        return with_results(pipeline(), ready, [], failures, ReportResult(), NOW)

    assert reasons(ready, failed("denied")) == [("Warning", "ActionsFailed")]
    assert reasons(failed("denied"), failed("denied")) == []
    assert reasons(failed("denied"), failed("timed out")) == [("Warning", "ActionsFailed")]
    assert reasons(failed("denied"), ready) == []


def test_what_needs_a_person_gets_one_event_for_each_cause() -> None:
    runs = [run.model_copy(update={"report": "Pending"}) for run in finished("Failed")]
    status = status_of(pipeline(), runs)

    def after(blocker: ReportBlocker) -> PipelineStatus:
        return with_results(pipeline(), status, runs, [], ReportResult(blocker=blocker), NOW)

    (event,) = events(status, after(WRONG_TOKEN), WRONG_TOKEN)
    assert (event.type, event.reason, event.message) == ("Warning", "ReportPending", WRONG_TOKEN.message)
    assert events(after(WRONG_TOKEN), after(WRONG_TOKEN), WRONG_TOKEN) == []
    assert events(status, after(AWAY), AWAY) == []
    assert len(events(after(AWAY), after(WRONG_TOKEN), WRONG_TOKEN)) == 1
