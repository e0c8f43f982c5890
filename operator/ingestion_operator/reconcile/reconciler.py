"""Reconciles a pipeline: observe -> plan -> act."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus, Run
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ActionsFailed, Conflict
from ingestion_operator.ports import Clock, ClusterApi, StatusObserver
from ingestion_operator.reconcile.act import ActionExecutor
from ingestion_operator.reconcile.cronjob_reconciler import CronJobReconciler
from ingestion_operator.reconcile.observe import Observer
from ingestion_operator.reconcile.observed import ActionFailure, Observed
from ingestion_operator.reconcile.plan import current_runs, earliest, finish, make_plan
from ingestion_operator.reconcile.secrets import SecretChecks
from ingestion_operator.reconcile.status import condition
from ingestion_operator.reconcile.status_writer import StatusWriter
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.runs.admission import starts_run
from ingestion_operator.runs.history import announced_before, is_finished
from ingestion_operator.runs.jobs import Job, PipelineKey
from ingestion_operator.runtime.backoff import spread

RESYNC: Final = timedelta(hours=10)
"""Resync period of a pipeline without events, as in controller-runtime."""

_NOT_SYNCED_PAUSE: Final = timedelta(seconds=5)
_UNKNOWN_JOB_PAUSE: Final = timedelta(seconds=2)
_SECRET_REASONS: Final = ("SecretNotFound", "SecretKeyNotFound", "CreateContainerConfigError")
"""Reasons of a waiting run that indicate a missing Secret."""


class PipelineReconciler:
    """Level-triggered: decides from the current state, so that it may be called at any time and repeatedly.

    Thread-safe, with one thread per pipeline.
    """

    def __init__(
        self,
        cluster: ClusterApi,
        store: Store,
        settings: Callable[[], Settings],
        clock: Clock,
        reporter: Reporter,
        *,
        observers: Sequence[StatusObserver] = (),
        versions: ServerVersions | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._reporter = reporter
        self._observer = Observer(cluster, store, versions)
        self._cronjobs = CronJobReconciler(cluster, store, SecretChecks(cluster, clock))
        self._executor = ActionExecutor(cluster, store, clock)
        self._writer = StatusWriter(cluster, store, clock, observers)
        self._uids: dict[PipelineKey, str] = {}
        """UIDs of the pipelines with state in this process."""
        self._announced: set[PipelineKey] = set()
        """The pipelines whose runs this process has announced."""
        self._remembered: dict[PipelineKey, Sequence[Run]] = {}
        """Runs that do not fit into the status: unfinished, unreported, or with a Job."""
        self._secrets_found: dict[PipelineKey, tuple[int, datetime]] = {}
        """The generation whose Secrets were found, and when."""
        self._failed_deletions: dict[PipelineKey, Sequence[ActionFailure]] = {}
        """Failed deletions, which follow the last status write: the next write names them."""

    def reconcile(self, key: PipelineKey) -> datetime | None:
        """Reconcile a pipeline; return when to requeue it without an event, None for never.

        Raises:
            ActionsFailed: Some actions failed. Retry with back-off.
            ClusterError: Another request to the API server failed. Retry with back-off; soon after a Conflict.
        """
        if not self._store.has_synced(key.namespace):
            return self._clock.now() + _NOT_SYNCED_PAUSE
        pipeline = self._observer.pipeline(key)
        if pipeline is None:
            self.forget(key)
            return None
        if self._uids.setdefault(key, pipeline.uid) != pipeline.uid:
            self.forget(key)  # the pipeline was replaced by another one of the same name
            self._uids[key] = pipeline.uid
        settings, now = self._settings(), self._clock.now().replace(microsecond=0)
        observed = self._observer.observe(pipeline, self._remembered.get(key, ()), settings, now)
        is_check_due = self._is_secret_check_due(key, pipeline, now)
        cronjob_result = self._cronjobs.reconcile(observed, settings, now, checks_secrets=is_check_due)
        if is_check_due and cronjob_result.blocker is None and cronjob_result.failure is None:
            self._secrets_found[key] = pipeline.generation, now

        found = current_runs(observed, settings, now)
        causes = self._observer.causes(pipeline, found.unexplained(now))
        plan = make_plan(observed, cronjob_result, found, causes, settings, now)
        pipeline = self._writer.write(
            pipeline, self._known(key, observed, plan.runs), plan.status, plan.runs, observed.jobs
        )
        self._announced.add(key)
        self._remember(key, plan.runs, plan.status, observed.jobs)
        actions, requeue_at = plan.actions, plan.requeue_at
        if any(map(starts_run, actions)) and not self._observer.has_all_active_jobs(observed):
            actions = [action for action in actions if not starts_run(action)]
            requeue_at = earliest([requeue_at, now + _UNKNOWN_JOB_PAUSE])
        outcome = self._executor.execute(actions)
        # Last, since it waits for another server. The due reports are recorded by now.
        live_pods = {pod.name for pod in observed.pods if not pod.is_finished}
        result = self._reporter.report(pipeline, plan.status.runs, live_pods)
        failures = [*([cronjob_result.failure] if cronjob_result.failure is not None else []), *outcome.failures]
        before = self._failed_deletions.pop(key, [])
        done = finish(observed, plan, [*failures, *before], result, now)
        self._writer.write(pipeline, plan.runs, done.status, done.runs, observed.jobs, result.blocker)
        self._remember(key, done.runs, done.status, observed.jobs)
        deletions = self._executor.execute(done.actions)
        if deletions.failures:
            self._failed_deletions[key] = deletions.failures

        self._store.forget_deleted_pods([pod.uid for pod in observed.deleted_pods])
        if failures := [*failures, *deletions.failures]:
            raise ActionsFailed(f"{failures[0].action} failed: {failures[0].error}")
        if outcome.has_conflict or deletions.has_conflict:
            raise Conflict("a Job has changed since it was read", code=409)
        if before or outcome.has_written or deletions.has_written or _admits_more_reports(plan.status, done.status):
            return self._clock.now()  # the operator's writes cause no event
        resync = now + RESYNC * spread(0.9, 1.1)
        return earliest([requeue_at, result.requeue_at, resync])

    def forget(self, key: PipelineKey) -> None:
        """Drop the state of a deleted pipeline."""
        self._observer.forget(key)
        self._cronjobs.forget(key)
        self._writer.forget(key)
        self._uids.pop(key, None)
        self._announced.discard(key)
        self._remembered.pop(key, None)
        self._secrets_found.pop(key, None)
        self._failed_deletions.pop(key, None)

    def _known(self, key: PipelineKey, observed: Observed, runs: Sequence[Run]) -> Sequence[Run]:
        """Return the runs as they were announced, by this process or the previous one."""
        known = observed.known_runs
        if key in self._announced:
            return known
        return [*known, *announced_before(runs, known, observed.pipeline.status_written_at)]

    def _remember(self, key: PipelineKey, runs: Sequence[Run], status: PipelineStatus, jobs: Sequence[Job]) -> None:
        in_status, present = {run.id for run in status.runs}, {job.run_id for job in jobs}
        others = [
            run
            for run in runs
            if run.id not in in_status and (not is_finished(run) or run.is_unreported or run.id in present)
        ]
        if others:
            self._remembered[key] = others
        else:
            self._remembered.pop(key, None)

    def _is_secret_check_due(self, key: PipelineKey, pipeline: Pipeline, now: datetime) -> bool:
        """Return whether the pipeline's Secrets must be checked; found ones are trusted until the resync."""
        ready = condition(pipeline.status, "Ready")
        if ready is None or ready.status != "True" or ready.observed_generation != pipeline.generation:
            return True
        # After a restart the status has Ready=True: the first resync is at a random time.
        generation, found_at = self._secrets_found.setdefault(
            key,
            (pipeline.generation, now - RESYNC * spread(0, 1)),
        )
        waits = any(run.state not in FINISHED_STATES and run.reason in _SECRET_REASONS for run in pipeline.status.runs)
        return generation != pipeline.generation or now - found_at >= RESYNC or waits


def _admits_more_reports(before: PipelineStatus, after: PipelineStatus) -> bool:
    """Return whether the finished reports made room in the status for runs whose report is due."""
    known = {run.id for run in before.runs}
    return any(run.is_unreported and run.id not in known for run in after.runs)
