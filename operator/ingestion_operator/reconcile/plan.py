"""Decides what a reconciliation writes, from what it observed; pure functions.

`make_plan` returns the status and the actions. The status is written before the actions are executed, so that it
records what they change or delete. `finish` returns the status after actions and reports, and the deletions.
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
from ingestion_operator.reconcile.observed import ActionFailure, CronJobResult, Observed
from ingestion_operator.reconcile.status import pipeline_status, with_reports, with_results
from ingestion_operator.reporting.results import ReportResult
from ingestion_operator.runs import admission, job_retention, pending, stopping
from ingestion_operator.runs.actions import DeleteJob, JobAction
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import CronJob
from ingestion_operator.runs.missed import missed_at
from ingestion_operator.runs.pod_start_failures import Cause
from ingestion_operator.runs.pods import count_orphans
from ingestion_operator.runs.retry import disruptions, oom_retry

_KILL_CALLER: Final = f"the annotation {constants.ANNOTATION_KILL}"
_JOB_GRACE: Final = timedelta(seconds=10)
"""How long after a scheduled time its Job may take to appear before the pipeline is reconciled again."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A pipeline's current runs, and those that wait for a pod to start."""

    runs: Sequence[Run]
    waiting: Sequence[pending.Waiting]

    def unexplained(self, now: datetime) -> list[pending.Waiting]:
        """Return the runs that have waited so long that their Events should be read for the cause."""
        return [wait for wait in self.waiting if wait.events_of and wait.explain_at <= now]

    def explained(self, causes: Mapping[str, Cause] | None, known: Sequence[Run]) -> list[Run]:
        """Return the runs with the `causes` from Events, by run id; with None the causes of the `known` runs stay."""
        if causes is None:
            return pending.with_known_causes(self.runs, known)
        waits = {wait.run_id: wait for wait in self.waiting}
        return [pending.explained(run, waits[run.id], causes[run.id]) if run.id in causes else run for run in self.runs]


@dataclass(frozen=True, slots=True)
class Plan:
    """The status to write, then the actions to execute."""

    runs: Sequence[Run]
    status: PipelineStatus
    actions: Sequence[JobAction]
    requeue_at: datetime | None
    """When to reconcile again without an event; None for never."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The status to write after actions and reports, then the Jobs to delete."""

    runs: Sequence[Run]
    status: PipelineStatus
    actions: Sequence[DeleteJob]


def current_runs(observed: Observed, settings: Settings, now: datetime) -> Runs:
    """Return the runs from Jobs, pods and earlier records."""
    known, jobs, pods = observed.known_runs, observed.jobs, observed.seen_pods
    replaces = observed.pipeline.spec.concurrency.policy == "Replace"
    found = runs_of(jobs, pods, known, now, gone=observed.gone_jobs, replaces=replaces)
    runs = pending.with_waiting_since(found, known, jobs, pods, now)
    return Runs(runs, pending.waiting_runs(runs, jobs, pods, _duration(settings.start_timeout)))


def make_plan(
    observed: Observed,
    cronjob_result: CronJobResult,
    found: Runs,
    causes: Mapping[str, Cause] | None,
    settings: Settings,
    now: datetime,
) -> Plan:
    """Return the status and the actions; `causes` are from the Events of waiting runs, by run id, if known."""
    pipeline, jobs, pods = observed.pipeline, observed.jobs, observed.pods
    spec = pipeline.spec
    runs = found.explained(causes, observed.known_runs)
    status = pipeline_status(observed, cronjob_result, runs, now)
    kills = [stopping.stop(job, _KILL_CALLER, now) for job in stopping.to_kill(pipeline.kill, jobs, now)]
    limits = admission.Limits(spec.concurrency.max_active_runs, replaces=spec.concurrency.policy == "Replace")
    admitted = admission.decide(jobs, runs, limits, now, orphans=count_orphans(jobs, pods))
    expired, expires_at = pending.terminate_overdue(found.waiting, runs, settings.start_timeout, now)
    lost, lost_at = pending.terminate_lost(runs, jobs, pods, settings.node_lost_timeout, now)
    actions: list[JobAction] = [
        *(kill for kill in kills if kill is not None),
        *oom_retry.decide(jobs, runs),
        *disruptions.decide(jobs, observed.seen_pods, runs, spec.retry.disruptions),
        *([] if pipeline.is_deleting else admitted.actions),
        *expired,
        *lost,
    ]
    own = cronjob_result.cronjob
    moments = [
        cronjob_result.requeue_at,
        observed.requeue_at,
        admitted.requeue_at,
        expires_at,
        lost_at,
        missed_at(own, jobs, now) if own is not None else None,
        _clock_change_night(own, now),
    ]
    if cronjob_result.blocker is None:
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
    """Return the status after actions and reports, and the Jobs to delete."""
    pipeline = observed.pipeline
    runs = with_reports(plan.runs, result)
    status = with_results(pipeline, plan.status, runs, failures, result, now)
    return Finish(runs, status, job_retention.expired_jobs(observed.jobs, runs, pipeline.spec.history))


def one_per_job(actions: Sequence[JobAction]) -> list[JobAction]:
    """Return the first action for each Job. All are decided from the same state, so a second one would conflict."""
    first: dict[str, JobAction] = {}
    for action in actions:
        first.setdefault(action.job.uid, action)
    return list(first.values())


def earliest(moments: Sequence[datetime | None]) -> datetime | None:
    """Return the earliest time; None if there is none."""
    return min((moment for moment in moments if moment is not None), default=None)


def _clock_change_night(cronjob: CronJob | None, now: datetime) -> datetime | None:
    """Return when the night of the next clock change that skips or doubles a run starts; None if none is ahead."""
    change = clock_change(cronjob.schedule, cronjob.time_zone, now) if cronjob and not cronjob.is_suspended else None
    return change.night_begins if change is not None and change.night_begins > now else None


def _duration(text: str) -> timedelta:
    return timedelta(seconds=duration_seconds(text))
