"""The figures of one number of pipelines, taken one after the other in one namespace."""

import math
import random
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks.process_start import start_gateway_once, start_operator_once
from benchmarks.scale.audit import Calls
from benchmarks.scale.environment import Environment
from benchmarks.scale.finished_runs import FinishedRuns
from benchmarks.scale.gateway import GatewayCalls
from benchmarks.scale.night_figures import Rest
from benchmarks.scale.nights import Nights
from benchmarks.scale.operated import Operated
from benchmarks.scale.pipelines import apply_all, apply_raw, at_once, manifest, name
from benchmarks.scale.subject import GATEWAY_MODULE, OPERATOR_MODULE
from benchmarks.scale.timeline import Timeline
from benchmarks.scale.work import per_reconcile
from ingestion_operator.ports import CRONJOBS, PIPELINES
from testcluster.errors import TestClusterError
from testcluster.progress import step
from testing.figures import percentile
from testing.process import cpu_seconds, resident_mib

RUNS_EACH: Final = 4
_CHANGES: Final = 50
_STAMPEDE: Final = 200
_STARTS: Final = 3
_REST_SECONDS: Final = 30
_SEED: Final = 8
_WATCHED: Final = frozenset({"ingestionpipelines", "cronjobs", "jobs", "pods"})


@dataclass
class Measured:
    """What was found beside one number of pipelines."""

    size: int
    figures: dict[str, float] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Measuring:
    """Takes the figures; each step builds on the one before."""

    def __init__(self, environment: Environment, size: int) -> None:
        self._environment = environment
        self._size = size
        self._operated = Operated(environment, size)
        self._bound = self._operated.bound
        self._until_quiet = self._operated.until_quiet
        self._problem = self._operated.problem
        self._idle = Rest(0, 1)
        self._random = random.Random(_SEED)  # noqa: S311  which pipelines are changed, the same ones each time
        self._timeline = Timeline()
        self.measured = Measured(size, problems=self._operated.problems)

    def all(self) -> Measured:
        """Apply, fill with history, rest, change, stampede, restart; the gateway's calls, both starts, the nights."""
        found, timeline = self.measured, self._timeline
        with self._operated.running() as operator, timeline.sampling("operator", operator.pid):
            found.figures["operator_empty_mib"] = resident_mib(operator.pid)
            phases = {
                "apply": self._apply,
                "finished runs": self._fill,
                "rest": self._rest,
                "changes": self._change,
                "stampede": self._stampede,
            }
            for phase, measure in phases.items():
                with timeline.phase(phase), self._operated.metered(phase, operator):
                    measure(operator.pid)
        self._restart()
        calls = GatewayCalls(self._environment, self._size, timeline)
        calls.measure()
        self._start_up(calls)
        nights = Nights(self._operated, timeline, self._idle)
        nights.measure(calls)
        found.figures |= calls.figures | nights.figures | per_reconcile(self._operated.work.values())
        found.samples |= calls.samples | {"timeline": timeline.samples, "phases": timeline.phases}
        found.samples["work"] = {phase: asdict(work) for phase, work in self._operated.work.items()}
        found.problems += calls.problems
        return found

    def one(self) -> Measured:
        """Find what the gateway's status takes beside a single pipeline with its runs."""
        with self._operated.running():
            apply_all(self._environment, 1)
            if not self._environment.pipelines.wait_for_count(1, timeout=self._bound):
                self._problem("the only pipeline was not Ready in time")
            self._add_finished_runs()
            self._until_quiet()
        calls = GatewayCalls(self._environment, 1, self._timeline)
        calls.measure_statuses()
        found = self.measured
        found.figures |= {key.replace("status", "status_of_one"): value for key, value in calls.figures.items()}
        found.problems += calls.problems
        return found

    def raw(self) -> None:
        """Write the same objects by a script, in the environment's own namespace; no program runs beside it."""
        begin = time.perf_counter()
        with step(f"{self._size:,} pipelines by a script"):
            apply_raw(self._environment, self._size)
        self.measured.figures["floor_s"] = round(time.perf_counter() - begin, 2)

    def _apply(self, pid: int) -> None:
        environment, figures = self._environment, self.measured.figures
        calls, sent, received, used = (
            environment.audit.skip(),
            environment.relay.sent,
            environment.relay.received,
            cpu_seconds(pid),
        )
        begin = time.perf_counter()
        with step(f"applying {self._size:,} pipelines"):
            apply_all(environment, self._size)
        figures["applied_s"] = round(time.perf_counter() - begin, 2)
        with step(f"waiting for {self._size:,} pipelines to be Ready"):
            if not environment.pipelines.wait_for_count(self._size, timeout=self._bound):
                self._problem(f"not all pipelines were Ready within {self._bound:.0f} s")
        figures["apply_to_ready_s"] = round(time.perf_counter() - begin, 2)
        self._until_quiet()
        made = calls.read(Calls())
        self.measured.calls["apply"] = made.table()
        figures["calls_per_pipeline"] = round(made.requests / self._size, 2)
        figures["writes_per_pipeline"] = round(made.writes / self._size, 2)
        figures["bytes_sent_per_pipeline"] = round((environment.relay.sent - sent) / self._size)
        figures["bytes_received_per_pipeline"] = round((environment.relay.received - received) / self._size)
        figures["apply_cpu_ms_per_pipeline"] = round(1000 * (cpu_seconds(pid) - used) / self._size, 1)

    def _fill(self, pid: int) -> None:
        """Give each pipeline finished runs, and wait until the operator has nothing to write about them any more."""
        figures, used, begin = self.measured.figures, cpu_seconds(pid), time.perf_counter()
        with step(f"adding {RUNS_EACH} finished runs to each"):
            self._add_finished_runs()
        figures["filled_s"] = round(time.perf_counter() - begin, 2)
        self._until_quiet()
        figures["fill_to_quiet_s"] = round(time.perf_counter() - begin, 2)
        figures["fill_cpu_ms_per_finished_run"] = round(1000 * (cpu_seconds(pid) - used) / self._size / RUNS_EACH, 1)

    def _add_finished_runs(self) -> None:
        environment, runs = self._environment, FinishedRuns(self._environment.kube)
        began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=RUNS_EACH)

        def fill(number: int) -> None:
            cronjob = environment.kube.get(CRONJOBS, environment.namespace, name(number))
            if cronjob is None:
                raise TestClusterError(f"{name(number)} has no CronJob")
            for run in range(RUNS_EACH):
                runs.add(cronjob, run, began + timedelta(days=run), success=run > 0)

        at_once(fill, range(self._size))

    def _rest(self, pid: int) -> None:
        audit, used, begin = self._environment.audit.from_here(), cpu_seconds(pid), time.perf_counter()
        time.sleep(_REST_SECONDS)  # the time over which idleness is measured
        self.measured.figures["operator_rss_mb"] = resident_mib(pid)
        seconds = time.perf_counter() - begin
        self._idle = Rest(audit.read(Calls()).total, seconds)
        share = (cpu_seconds(pid) - used) / seconds
        self.measured.figures["operator_idle_cpu_percent"] = round(100 * share, 1)
        self.measured.figures["operator_idle_requests_per_minute"] = round(60 * self._idle.requests / seconds, 1)

    def _change(self, pid: int) -> None:
        """Change one schedule among many: how long until its CronJob has it."""
        environment, latencies = self._environment, []
        used = cpu_seconds(pid)
        scheduled = [number for number in range(self._size) if "schedule" in manifest("", number)["spec"]]
        chosen = self._random.choices(scheduled, k=_CHANGES)
        for turn, number in enumerate(chosen):
            cron, begin = f"{turn + 1} 0 * * *", time.perf_counter()  # none that it has already
            environment.kube.merge_patch(
                PIPELINES, environment.namespace, name(number), {"spec": {"schedule": {"cron": cron}}}
            )
            if not environment.cronjobs.wait_for_value(name(number), cron, timeout=60):
                self._problem(f"a change of {name(number)} has not reached its CronJob within 60 s")
                continue
            latencies.append(1000 * (environment.cronjobs.seen_at[name(number)] - begin))
        self._until_quiet()
        self.measured.samples["change_latency_ms"] = [round(latency, 1) for latency in latencies]
        if latencies:
            self.measured.figures["change_latency_p50_ms"] = round(percentile(latencies, 0.5), 1)
            self.measured.figures["change_latency_p99_ms"] = round(percentile(latencies, 0.99), 1)
        self.measured.figures["change_cpu_ms"] = round(1000 * (cpu_seconds(pid) - used) / _CHANGES, 1)

    def _stampede(self, pid: int) -> None:
        """Let up to 200 schedules fire in the same minute: the lag of Kubernetes' controller, and ours."""
        environment, count, used = self._environment, min(_STAMPEDE, self._size), cpu_seconds(pid)
        known = set(environment.jobs.values)
        tick = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=2)
        cron = f"{tick.minute} {tick.hour} * * *"
        patch = {"spec": {"schedule": {"cron": cron, "timeZone": "UTC"}}}
        at_once(
            lambda number: environment.kube.merge_patch(PIPELINES, environment.namespace, name(number), patch),
            range(count),
        )
        self._until_quiet()
        clock = time.perf_counter() + (tick - datetime.now(UTC)).total_seconds()

        def fired(now: dict[str, Any]) -> bool:
            return len(now.keys() - known) >= count

        with step(f"{count} schedules that fire at {tick:%H:%M}"):
            if not environment.jobs.wait(fired, timeout=300):
                self._problem(f"only {len(environment.jobs.values.keys() - known)} of {count} schedules fired in time")
        new = environment.jobs.values.keys() - known
        lags = sorted(1000 * (environment.jobs.seen_at[job] - clock) for job in new)
        pod_lags = self._pod_lags(new)
        records = self._records(count, timeout=120)
        self._until_quiet()
        self.measured.samples["stampede_job_lag_ms"] = [round(lag) for lag in lags]
        self.measured.samples["stampede_pod_lag_ms"] = [round(lag) for lag in pod_lags]
        self.measured.samples["stampede_record_lag_ms"] = [round(1000 * (at - clock)) for at in records]
        self.measured.figures["stampede_job_lag_p99_ms"] = round(percentile(lags, 0.99)) if lags else math.nan
        if pod_lags:
            self.measured.figures["stampede_pod_lag_p99_ms"] = round(percentile(pod_lags, 0.99))
        if records:
            self.measured.figures["stampede_record_lag_p99_ms"] = round(
                1000 * (percentile(sorted(records), 0.99) - clock)
            )
        self.measured.figures["stampede_cpu_ms_per_run"] = round(1000 * (cpu_seconds(pid) - used) / count, 1)

    def _pod_lags(self, jobs: Collection[str]) -> list[float]:
        """How long after its Job each pod was there: the Job controller's part; none of them can be scheduled."""
        pods = self._environment.pods
        if not pods.wait(lambda now: set(jobs) <= set(now.values()), timeout=120):
            self._problem("not all Jobs of the stampede have a pod")
        seen = {job: pods.seen_at[pod] for pod, job in pods.values.items() if job in jobs}
        return sorted(1000 * (at - self._environment.jobs.seen_at[job]) for job, at in seen.items())

    def _records(self, count: int, *, timeout: float) -> list[float]:
        """When the status of each pipeline had the run that has just begun."""
        active = self._environment.active
        names = {name(number) for number in range(count)}
        if not active.wait(lambda now: all(now.get(one) for one in names), timeout=timeout):
            self._problem("not all runs of the stampede are in their pipelines' status")
        return [active.seen_at[one] for one in names if active.values.get(one)]

    def _restart(self) -> None:
        """A new process beside unchanged pipelines: what it asks for, and when it watches all and has judged all."""
        environment, figures = self._environment, self.measured.figures
        audit, sent, received = environment.audit.skip(), environment.relay.sent, environment.relay.received
        begin, made = time.perf_counter(), Calls()
        with (
            self._operated.running() as operator,
            self._timeline.phase("restart"),
            self._timeline.sampling("operator", operator.pid),
        ):

            def has_judged_all() -> bool:
                return audit.read(made).watched >= _WATCHED and operator.metrics.pipelines() >= self._size

            self._operated.waited(
                f"watches and judgement of {self._size:,} pipelines after a restart",
                has_judged_all,
                timeout=self._bound,
            )
            figures["restart_ready_s"] = round(time.perf_counter() - begin, 2)
            self._until_quiet()
            audit.read(made)
            figures["restart_rss_mb"] = resident_mib(operator.pid)
            figures["restart_cpu_ms_per_pipeline"] = round(1000 * cpu_seconds(operator.pid) / self._size, 1)
        figures["restart_writes"] = made.writes
        figures["restart_gets_per_pipeline"] = round(made.gets / self._size, 2)
        figures["restart_bytes_per_pipeline"] = round(
            (environment.relay.received - received + environment.relay.sent - sent) / self._size
        )
        self.measured.calls["restart"] = made.table()

    def _start_up(self, calls: GatewayCalls) -> None:
        """From the start of each program until it does its work, with all objects there."""
        environment, found = self._environment, self.measured
        with step(f"starting both programs {_STARTS} times"):
            started = {
                "operator": [
                    start_operator_once(
                        kubeconfig=environment.operator_kubeconfig,
                        namespace=environment.namespace,
                        settings=environment.settings_path,
                        program=environment.subject.program(OPERATOR_MODULE),
                    )
                    for _ in range(_STARTS)
                ],
                "gateway": [
                    start_gateway_once(
                        kubeconfig=calls.kubeconfig,
                        namespace=environment.namespace,
                        settings=environment.settings_path,
                        credentials=calls.credentials,
                        program=environment.subject.program(GATEWAY_MODULE),
                    )
                    for _ in range(_STARTS)
                ],
            }
        for program, starts in started.items():
            found.samples[f"{program}_start_s"] = [one.seconds for one in starts]
            found.figures[f"{program}_start_s"] = percentile([one.seconds for one in starts], 0.5)
