"""Ordinary runs one by one, and two nights of one run for each pipeline: with the operator, and without it.

CronJobs fire as ever, and the Job controller, the scheduler and the garbage collector do their work; only the pods'
states come from the simulated kubelet. Both nights have the same runs, and are measured for the same time.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.scale.audit import Calls
from benchmarks.scale.environment import watching_client
from benchmarks.scale.gateway import GatewayCalls
from benchmarks.scale.kubelet import SimulatedKubelet
from benchmarks.scale.night_figures import Night, Rest, cron, figures, first_tick, minutes_of
from benchmarks.scale.operated import Operated, Running
from benchmarks.scale.pipelines import at_once, name
from benchmarks.scale.timeline import Timeline
from benchmarks.scale.work import per_run
from ingestion_operator import constants
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import JOBS, PIPELINES
from testcluster.progress import show
from testing.process import cpu_seconds, idle_seconds, resident_mib

API_SERVER: Final = "kube-apiserver"
_ORDINARY_RUNS: Final = 20
_RUN_BOUND_SECONDS: Final = 180
_EARLY_SECONDS: Final = 2
_ENDED: Final = frozenset({"success", "partialSuccess", "failed", "stopped"})


class Nights:
    """Takes the figures of runs."""

    def __init__(self, operated: Operated, timeline: Timeline, rest: Rest) -> None:
        self._operated = operated
        self._environment = operated.environment
        self._size = operated.size
        self._timeline = timeline
        self._rest = rest
        environment = operated.environment
        self._kubelet = SimulatedKubelet(environment.kube, watching_client(environment.cluster), environment.namespace)
        self._requests = 0
        self.figures: dict[str, float] = {}

    def measure(self, calls: GatewayCalls) -> None:
        """Let all runs that are there end; then take the figures."""
        operated, timeline = self._operated, self._timeline
        with self._kubelet:
            with operated.running() as running, timeline.sampling("operator", running.pid):
                operated.waited("the runs before the night to end", self._is_idle, timeout=operated.bound, pause=1)
                operated.until_quiet()
                with timeline.phase("ordinary runs"):
                    self._scheduled(running)
                    self._triggered(running, calls)
                with_operator = self._night_with(running)
                first = self._planned()
            self._wait_for(first)
            without = self._night(until=lambda begin: _sleep_until(begin + with_operator.seconds))
        self._check_jobs(first)
        self.figures |= figures(
            with_operator,
            without,
            runs=self._size,
            work=operated.work["night"],
            requests=self._requests,
            ordinary=self.figures["requests_per_run"],
            rest=self._rest,
            cores=os.cpu_count() or 1,
        )

    def _is_idle(self) -> bool:
        return not any(self._environment.active.values.values())

    def _scheduled(self, running: Running) -> None:
        """Let some schedules fire in the same minute."""
        count = min(_ORDINARY_RUNS, self._size)
        first = first_tick(datetime.now(UTC), 0)
        self._reschedule([cron(first, 0, 1)] * count)
        self._runs(count, running, "scheduled runs", "")

    def _triggered(self, running: Running, calls: GatewayCalls) -> None:
        """Trigger some pipelines through the gateway, one after the other."""
        count = min(_ORDINARY_RUNS, self._size)
        with calls.started() as gateway:
            self._runs(count, running, "triggered runs", "triggered_", lambda: calls.trigger(gateway, count))

    def _runs(
        self, count: int, running: Running, what: str, prefix: str, begin: Callable[[], None] = lambda: None
    ) -> None:
        ended = self._kubelet.ended
        with self._operated.metered(what, running):
            begin()
            self._wait_for_ends(ended + count, what, timeout=_RUN_BOUND_SECONDS)
            self._operated.until_quiet()
        self.figures |= per_run(self._operated.work[what], count, prefix)

    def _night_with(self, running: Running) -> Night:
        """Take the night's figures of API server and operator."""
        first = self._planned()
        self._wait_for(first)
        audit, used = self._environment.audit.from_here(), cpu_seconds(running.pid)

        def until_quiet(_: float) -> None:
            ended_at = time.perf_counter()
            self.figures["night_last_end_to_quiet_s"] = round(self._operated.until_quiet() - ended_at, 1)

        with self._timeline.phase("night"), self._operated.metered("night", running):
            night = self._night(until=until_quiet)
        self._requests = audit.read(Calls()).total
        self.figures["night_operator_cpu_ms_per_run"] = round(1000 * (cpu_seconds(running.pid) - used) / self._size, 1)
        self.figures["night_rss_mb"] = resident_mib(running.pid)
        self._check_records(self._check_jobs(first))
        return night

    def _planned(self) -> datetime:
        """Give each pipeline its schedule of the next night; return the night's first minute."""
        first = first_tick(datetime.now(UTC), self._size)
        self._reschedule([cron(first, number, self._size) for number in range(self._size)])
        if datetime.now(UTC) > first - timedelta(seconds=_EARLY_SECONDS):
            self._operated.problem(f"the schedules of the night at {first:%H:%M} came too late")
        return first

    def _reschedule(self, crons: Sequence[str]) -> None:
        environment, operated = self._environment, self._operated

        def patch(number: int) -> None:
            spec = {"schedule": {"cron": crons[number], "timeZone": "UTC"}}
            environment.kube.merge_patch(PIPELINES, environment.namespace, name(number), {"spec": spec})

        at_once(patch, range(len(crons)))

        def have_them() -> bool:
            seen = environment.cronjobs.values
            return all(seen.get(name(number)) == wanted for number, wanted in enumerate(crons))

        operated.waited(f"{len(crons):,} CronJobs to have their schedules", have_them, timeout=operated.bound, pause=1)
        operated.until_quiet()

    def _wait_for(self, first: datetime) -> None:
        """Wait until just before the first minute of a night."""
        minutes = minutes_of(self._size)
        show(f"a night of {self._size:,} runs in {minutes} min, from {first:%H:%M} UTC on")
        seconds = (first - datetime.now(UTC)).total_seconds() - _EARLY_SECONDS
        _sleep_until(time.perf_counter() + seconds)

    def _night(self, until: Callable[[float], None]) -> Night:
        """Measure from now until all runs have ended, and then `until` returns.

        It is called with the beginning, by time.perf_counter.
        """
        server, ended = self._environment.cluster.pid(API_SERVER), self._kubelet.ended
        used, idle, begin = cpu_seconds(server), idle_seconds(), time.perf_counter()
        timeout = 60 * minutes_of(self._size) + self._operated.bound
        self._wait_for_ends(ended + self._size, "runs of the night", timeout=timeout)
        until(begin)
        return Night(cpu_seconds(server) - used, time.perf_counter() - begin, idle_seconds() - idle)

    def _wait_for_ends(self, count: int, what: str, *, timeout: float) -> None:
        self._operated.waited(f"the {what} to end", lambda: self._kubelet.ended >= count, timeout=timeout, pause=0.5)

    def _check_jobs(self, first: datetime) -> set[str]:
        """Return the Jobs of the night that began at a minute; each pipeline must have one, which is complete."""
        environment, since = self._environment, format_timestamp(first)
        complete = set()
        for job in environment.kube.list(JOBS, environment.namespace, {}):
            tick = job["metadata"].get("annotations", {}).get(constants.ANNOTATION_SCHEDULED_AT, "")
            if tick >= since and job.get("status", {}).get("succeeded"):
                complete.add(job["metadata"]["name"])
        if len(complete) != self._size:
            self._operated.problem(f"the night at {first:%H:%M} has {len(complete)} complete Jobs, not {self._size}")
        return complete

    def _check_records(self, jobs: set[str]) -> None:
        """Check that each Job's run is in its pipeline's status, with its end."""
        environment, missing = self._environment, set(jobs)
        for pipeline in environment.kube.list(PIPELINES, environment.namespace, {}):
            runs = pipeline.get("status", {}).get("runs", [])
            missing -= {run["job"] for run in runs if run["state"] in _ENDED}
        if missing:
            self._operated.problem(f"{len(missing)} runs of the night have no end in their pipelines' status")


def _sleep_until(moment: float) -> None:
    """Sleep until a moment of time.perf_counter: the time over which a night is measured."""
    time.sleep(max(0.0, moment - time.perf_counter()))
