"""Twenty-four hours of 200 pipelines at the speed of the CPU: the operator's own code over clusters in memory.

The test takes the part of the CronJob controller, the Job controller and the kubelet, from what the operator has
written into the CronJobs. It is the day on which Zurich's clocks go forward, and the operator is away for a quarter
of an hour.
"""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus
from ingestion_operator.k8s.cron import parse
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.lives import OOM, SUCCEEDED
from testing.objects import NAMESPACE, NOW, Body, job, manifest, pod, settings
from testing.reconciling import Reconciling

MIDNIGHT = datetime(2026, 3, 29, tzinfo=UTC)
END = MIDNIGHT + timedelta(days=1)
AWAY = MIDNIGHT + timedelta(hours=11, minutes=50)
BACK = MIDNIGHT + timedelta(hours=12, minutes=5)
COUNT = 200
HISTORY = 3
SETTINGS = settings()


def changes(number: int) -> Body:
    """The spec of a pipeline: a fifth on demand, most at midnight, some by Zurich's clock, some often, some paused."""
    if number % 5 == 0:
        return {"schedule": None}
    if number % 10 == 1:
        return {"schedule": {"cron": "0 9 * * *", "timeZone": "Europe/Zurich"}}
    if number % 100 == 2:
        return {"schedule": {"cron": "@hourly"}}
    if number == 3:
        return {"schedule": {"cron": "*/30 * * * *"}}
    return {"schedule": {"cron": "0 0 * * *"}, "suspend": number % 40 == 4}


class Day:
    """One pipeline's."""

    def __init__(self, number: int) -> None:
        self.name = f"pipeline-{number:03}"
        self.clock, self.sink = FakeClock(MIDNIGHT - timedelta(minutes=1)), FakeSink()
        self.cluster = FakeCluster(self.clock)
        self.cluster.put(PIPELINES, manifest(self.name, **changes(number)))
        self.ticks: list[datetime] = []
        self.due: dict[str, str] = {}
        """How the run of each Job must be recorded."""
        self.ends: dict[str, list[str]] = {}
        """How the run of each Job was recorded, a change being another end."""
        self.reconciliations = 0
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._requeued_at: datetime | None = None

    def run(self) -> None:
        """All of it; its last tick has had its run by then, the first of the next day cannot be missed yet."""
        self.restart()
        self.plan_ticks()
        self.at(BACK, self.restart)
        while self._events and self._events[0][0] < END + timedelta(minutes=10):
            self.clock.moment, _, event = heapq.heappop(self._events)
            event()

    def at(self, moment: datetime, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), event))

    def restart(self) -> None:
        reporter = reporter_over(self.cluster, self.sink, lambda: SETTINGS, self.clock)
        self.reconciling = Reconciling(self.cluster, lambda: SETTINGS, self.clock, reporter)
        self.reconcile()

    def reconcile(self) -> None:
        """As the queue does it: after every event, and when the last reconciliation has requested it."""
        if AWAY <= self.clock.moment < BACK:
            return
        self.reconciliations += 1
        again = self.reconciling.reconcile(PipelineKey(NAMESPACE, self.name), [])
        status = self.status
        assert len(status.active_runs) <= 1
        for run in status.runs:
            ends = self.ends.setdefault(run.job, [])
            if run.state in FINISHED_STATES and ends[-1:] != [run.reason]:
                ends.append(run.reason)
        if again is not None and again != self._requeued_at:
            self._requeued_at = again
            self.at(max(again, self.clock.moment), self.reconcile)

    @property
    def status(self) -> PipelineStatus:
        (body,) = self.cluster.all(PIPELINES)
        return parse_status(body)

    def plan_ticks(self) -> None:
        """As the CronJob controller reads what the operator has written."""
        (cronjob,) = self.cluster.all(CRONJOBS)
        spec, tick = cronjob["spec"], self.clock.moment
        expression, zone = parse(spec["schedule"]), ZoneInfo(spec.get("timeZone", "UTC"))
        self.ticks = []
        while not spec.get("suspend") and (following := expression.next_after(tick, zone, END - timedelta(seconds=1))):
            self.ticks.append(tick := following)
        for number, tick in enumerate(self.ticks, start=1):
            self.at(tick, partial(self.fire, f"{self.name}-{number}", tick, fails=number % 8 == 0))

    def fire(self, name: str, tick: datetime, *, fails: bool) -> None:
        """A run: its Job, five seconds later its pod, a minute later both ends; then the history is cut."""
        created = (tick - NOW).total_seconds()
        of_this: dict[str, Any] = {"created": created, "pipeline_name": self.name}
        ended: dict[str, Any] = {"ended": created + 65, **(OOM if fails else {"exit_code": 0, "message": SUCCEEDED})}
        self.due[name] = "OutOfMemory" if fails else "Succeeded"

        def begin() -> None:
            self.cluster.put(JOBS, job(name, **of_this))
            done = {"status": {"lastScheduleTime": format_timestamp(tick)}}
            self.cluster.edit(CRONJOBS, NAMESPACE, self.name, lambda body: body.update(done))

        def work() -> None:
            self.cluster.put(PODS, pod(f"{name}-a", of=name, running=True, **of_this))

        def end() -> None:
            self.cluster.put(PODS, pod(f"{name}-a", of=name, **of_this, **ended))
            self.cluster.put(
                JOBS, job(name, condition="Failed" if fails else "Complete", ended=created + 65, **of_this)
            )

        for after, event in ((0, begin), (5, work), (65, end), (70, self.cut_history)):
            self.at(tick + timedelta(seconds=after), event)
            self.at(tick + timedelta(seconds=after), self.reconcile)

    def cut_history(self) -> None:
        """As the CronJob controller does it."""
        for kind in ("Complete", "Failed"):
            jobs = self.cluster.all(JOBS)
            ended = [job for job in jobs if any(c["type"] == kind for c in job["status"].get("conditions", []))]
            for old in ended[:-HISTORY]:
                self.cluster.delete(JOBS, NAMESPACE, old["metadata"]["name"])


@pytest.fixture(scope="module")
def days() -> list[Day]:
    """The day of every pipeline, at its end."""
    found = [Day(number) for number in range(COUNT)]
    for day in found:
        day.run()
    return found


def test_every_tick_of_a_day_becomes_one_run_with_one_end(days: list[Day]) -> None:
    for day in days:
        assert day.ends == {name: [reason] for name, reason in day.due.items()}, day.name
        assert len(day.due) == len(day.ticks)
    assert sum(len(day.ticks) for day in days) == 132 + 20 + 2 * 24 + 48


def test_no_tick_is_missed_and_the_zone_decides_about_the_hour(days: list[Day]) -> None:
    posted = {body["reason"] for day in days for body in day.cluster.all(EVENTS)}
    assert posted == {"RunStarted", "RunEnded", "RunFailed"}
    nine_in_zurich = [day.ticks for day in days if len(day.ticks) == 1 and day.ticks[0] != MIDNIGHT]
    assert nine_in_zurich == [[MIDNIGHT + timedelta(hours=7)]] * 20


def test_the_next_tick_is_in_the_status_unless_there_is_none(days: list[Day]) -> None:
    for day in days:
        (cronjob,) = day.cluster.all(CRONJOBS)
        following = day.status.next_schedule_time
        assert (following is None) is cronjob["spec"]["suspend"], day.name
        assert following is None or following > day.clock.moment, day.name


def test_openmetadata_gets_each_failure_once_and_nothing_else(days: list[Day]) -> None:
    for day in days:
        failed = [f"uid-{name}" for name, reason in day.due.items() if reason == "OutOfMemory"]
        assert sorted(day.sink.writes) == sorted(failed), day.name


def test_a_pipeline_without_ticks_costs_next_to_nothing(days: list[Day]) -> None:
    for day in days:
        assert day.reconciliations <= 2 + 6 * len(day.ticks), day.name
        if not day.ticks:
            assert [call.plural for call in day.cluster.writes] == ["cronjobs", "ingestionpipelines"]
