"""What a reconciliation does, from what it observed; pure functions.

`make_plan` decides what is recorded and done at once. Its status is written before its actions: what they change or
delete is recorded by then. `finish` decides what is left once actions and reports were tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.k8s.clock_change import clock_change
from ingestion_operator.k8s.schedule import duration_seconds, next_boundary
from ingestion_operator.reconcile.observed import ActionFailure, ChildrenResult, Observed
from ingestion_operator.reconcile.status import pipeline_status, with_reports, with_results
from ingestion_operator.reporting.results import ReportResult
from ingestion_operator.runs import admission, pending, retention, stopping
from ingestion_operator.runs.actions import DeleteJob, JobAction
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import CronJob
from ingestion_operator.runs.missed import judged_at
from ingestion_operator.runs.pod_start_failures import Cause
from ingestion_operator.runs.pods import count_leftovers
from ingestion_operator.runs.retry import disruptions, repetition

_KILL_CALLER: Final = f"the annotation {constants.ANNOTATION_KILL}"
_JOB_GRACE: Final = timedelta(seconds=10)
"""How long after a scheduled time its Job may take to appear before the pipeline is reconciled again."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A pipeline's runs as they are now, and those that wait for a pod to start."""

    runs: Sequence[Run]
    waiting: Sequence[pending.Waiting]

    def unexplained(self, now: datetime) -> list[pending.Waiting]:
        """Return what waits so long that its Events are worth reading: only they name the cause."""
        return [wait for wait in self.waiting if wait.events_of and wait.explain_at <= now]

    def explained(self, causes: Mapping[str, Cause] | None, known: Sequence[Run]) -> list[Run]:
        """Return the runs with the causes that Events name, by run id; None: those that are `known` stay."""
        if causes is None:
            return pending.with_known_causes(self.runs, known)
        waits = {wait.run_id: wait for wait in self.waiting}
        return [pending.explained(run, waits[run.id], causes[run.id]) if run.id in causes else run for run in self.runs]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is recorded, then done."""

    runs: Sequence[Run]
    status: PipelineStatus
    actions: Sequence[JobAction]
    requeue_at: datetime | None
    """When to reconcile again though nothing happens; None for never."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What is recorded in the end, then deleted."""

    runs: Sequence[Run]
    status: PipelineStatus
    actions: Sequence[DeleteJob]


def current_runs(observed: Observed, settings: Settings, now: datetime) -> Runs:
    """Return the runs from Jobs, pods and what was recorded before."""
    known, jobs, pods = observed.known_runs, observed.jobs, observed.seen_pods
    replaces = observed.pipeline.spec.concurrency.policy == "Replace"
    found = runs_of(jobs, pods, known, now, gone=observed.gone_jobs, replaces=replaces)
    runs = pending.with_waiting_since(found, known, jobs, pods, now)
    return Runs(runs, pending.waiting(runs, jobs, pods, _duration(settings.start_timeout)))


def make_plan(
    observed: Observed,
    children: ChildrenResult,
    found: Runs,
    causes: Mapping[str, Cause] | None,
    settings: Settings,
    now: datetime,
) -> Plan:
    """Return what to record and to do; `causes` are what Events say of runs that wait, by run id, if known."""
    pipeline, jobs, pods = observed.pipeline, observed.jobs, observed.pods
    spec = pipeline.spec
    runs = found.explained(causes, observed.known_runs)
    status = pipeline_status(observed, children, runs, now)
    kills = [stopping.stop(job, _KILL_CALLER, now) for job in stopping.to_kill(pipeline.kill, jobs, now)]
    limits = admission.Limits(spec.concurrency.max_active_runs, replaces=spec.concurrency.policy == "Replace")
    admitted = admission.decide(jobs, runs, limits, now, leftovers=count_leftovers(jobs, pods))
    expired, expires_at = pending.expired(found.waiting, runs, settings.start_timeout, now)
    lost, lost_at = pending.lost_too_long(runs, jobs, pods, settings.node_lost_timeout, now)
    actions: list[JobAction] = [
        *(kill for kill in kills if kill is not None),
        *repetition.decide(jobs, runs),
        *disruptions.decide(jobs, observed.seen_pods, runs, spec.retry.disruptions),
        *([] if pipeline.is_deleting else admitted.actions),
        *expired,
        *lost,
    ]
    own = children.cronjob
    moments = [
        children.requeue_at,
        observed.requeue_at,
        admitted.requeue_at,
        expires_at,
        lost_at,
        judged_at(own, jobs, now) if own is not None else None,
        _night(own, now),
    ]
    if children.blocker is None:
        schedule = spec.schedule
        next_run = status.next_schedule_time
        moments.append(next_run + _JOB_GRACE if next_run is not None else None)
        moments.append(next_boundary(schedule.start_date, schedule.end_date, now) if schedule else None)
    return Plan(runs, status, one_per_job(actions), earliest(moments))


def finish(
    observed: Observed,
    plan: Plan,
    failures: Sequence[ActionFailure],
    result: ReportResult,
    now: datetime,
) -> Finish:
    """Return what to record once actions and reports were tried, and which Jobs are kept no longer."""
    pipeline = observed.pipeline
    runs = with_reports(plan.runs, result)
    status = with_results(pipeline, plan.status, runs, failures, result, now)
    return Finish(runs, status, retention.expired(observed.jobs, runs, pipeline.spec.history))


def one_per_job(actions: Sequence[JobAction]) -> list[JobAction]:
    """Return the first action for each Job: every one was decided from the same state, so a second would conflict."""
    first: dict[str, JobAction] = {}
    for action in actions:
        first.setdefault(action.job.uid, action)
    return list(first.values())


def earliest(moments: Sequence[datetime | None]) -> datetime | None:
    """Return the earliest moment, None where there is none."""
    return min((moment for moment in moments if moment is not None), default=None)


def _night(cronjob: CronJob | None, now: datetime) -> datetime | None:
    """Return when the night begins on which the clocks skip or double a run; None where it has begun, or none comes."""
    change = clock_change(cronjob.schedule, cronjob.time_zone, now) if cronjob and not cronjob.is_suspended else None
    return change.night_begins if change is not None and change.night_begins > now else None


def _duration(text: str) -> timedelta:
    return timedelta(seconds=duration_seconds(text))
