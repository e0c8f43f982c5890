"""Reconciles a pipeline's CronJob with its spec, and checks the Secrets that its runs need."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Rejected
from ingestion_operator.k8s.objects import Body
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import CRONJOBS, ClusterApi
from ingestion_operator.reconcile.cronjob import (
    ApplyCronJob,
    RestoreCronJob,
    SuspendCronJob,
    has_tracking_metadata,
    is_owned,
    is_untouched,
    overridden_fields,
    overridden_metadata,
    plan_cronjob,
    suspension,
)
from ingestion_operator.reconcile.observed import ActionFailure, CronJobResult, Observed, permission_missing
from ingestion_operator.reconcile.plan import earliest
from ingestion_operator.reconcile.secrets import SecretChecks
from ingestion_operator.reconcile.status import condition
from ingestion_operator.runs.jobs import CronJob, PipelineKey, read_cronjob
from ingestion_operator.runtime.backoff import Backoff

_logger = logging.getLogger(__name__)

_CONTEST_WINDOW: Final = timedelta(minutes=10)
_FREE_RESTORES: Final = 2
_RESTORE: Final = Backoff(first=60.0, last=_CONTEST_WINDOW.total_seconds(), jitter=0)
_FIRST_RECHECK: Final = timedelta(seconds=5)
_LAST_RECHECK: Final = timedelta(minutes=5)
_FIELDS_NAMED: Final = 5


@dataclass(slots=True)
class _Contest:
    """How often in a row a CronJob was restored."""

    restores: int
    last: datetime
    manager: str = ""

    @property
    def allowed_at(self) -> datetime:
        """When the next restore is allowed: from the third within the window on, restores are delayed."""
        if self.restores < _FREE_RESTORES:
            return self.last
        return self.last + timedelta(seconds=_RESTORE.delay(self.restores - _FREE_RESTORES + 1))

    @property
    def over_at(self) -> datetime:
        """When the CronJob will have been unchanged for a whole window."""
        return self.allowed_at + _CONTEST_WINDOW


@dataclass(frozen=True, slots=True)
class _Written:
    """The last write of a CronJob: its fingerprint and the result."""

    fingerprint: str
    cronjob: CronJob

    def is_repeated_by(self, action: ApplyCronJob | RestoreCronJob) -> bool:
        """Return whether an action would repeat this write without effect."""
        live, before = action.live, self.cronjob
        return (
            live is not None
            and _fingerprint(action) == self.fingerprint
            and (live.uid, live.generation) == (before.uid, before.generation)
            and (live.labels, live.annotations) == (before.labels, before.annotations)
        )


class CronJobReconciler:
    """Writes CronJobs, only if they differ from the desired state. Thread-safe, with one thread per pipeline."""

    def __init__(self, cluster: ClusterApi, store: Store, secrets: SecretChecks) -> None:
        self._cluster = cluster
        self._store = store
        self._secrets = secrets
        self._contests: dict[PipelineKey, _Contest] = {}
        self._written: dict[PipelineKey, _Written] = {}
        """For CronJobs whose fingerprint or labels admission removes: they must not be written in an endless loop."""
        self._lock = Lock()

    def reconcile(
        self, observed: Observed, settings: Settings, now: datetime, *, checks_secrets: bool
    ) -> CronJobResult:
        """Bring the CronJob to the desired state; return its current state with the blocker and the failure, if any.

        Idempotent: it can be repeated after any write. Raises Conflict if another client wrote at the same time.
        """
        pipeline = observed.pipeline
        name = f"{pipeline.namespace}/{pipeline.cronjob_name}"
        live, overridden, requeue_at = observed.cronjob, None, None
        blocker = failure = None
        try:
            live, overridden, requeue_at = self._ensure_cronjob(observed, settings, now)
        except Rejected as rejected:
            blocker = rejected
        except Forbidden as error:
            blocker = permission_missing(error)
        except Conflict:
            raise
        except ClusterError as error:
            failure = _failure(f"CronJob {name}: apply", error)
        if blocker is not None:
            live, failure = self._suspended(pipeline, live, now)
        elif failure is None and checks_secrets:
            try:
                blocker, requeue_at = self._check_secrets(pipeline, requeue_at)
            except ClusterError as error:
                failure = _failure(f"Secrets of CronJob {name}: read", error)
        own = live if live is not None and is_owned(live, pipeline) else None
        if blocker is not None and blocker.is_external and requeue_at is None:
            requeue_at = now + _recheck_pause(pipeline, blocker, now)
        contested, over_at = self._contested(PipelineKey(pipeline.namespace, pipeline.name), now)
        return CronJobResult(own, blocker, overridden, contested, failure, earliest([requeue_at, over_at]))

    def forget(self, key: PipelineKey) -> None:
        """Drop the state of a deleted pipeline."""
        with self._lock:
            self._contests.pop(key, None)
            self._written.pop(key, None)

    def _ensure_cronjob(
        self, observed: Observed, settings: Settings, now: datetime
    ) -> tuple[CronJob | None, str | None, datetime | None]:
        """Return the current CronJob, the fields that admission overrode, and when to requeue.

        Raises Rejected, ClusterError.
        """
        pipeline, live = observed.pipeline, observed.cronjob
        if observed.blocker is not None:
            raise observed.blocker
        _check_usable(pipeline)
        action = plan_cronjob(pipeline, live, settings, now)
        if action is None or isinstance(action, SuspendCronJob):
            return live, None, None
        key = PipelineKey(pipeline.namespace, pipeline.name)
        before, contest = self._written.get(key), None
        if before is not None and before.is_repeated_by(action):
            return live, None, None
        if isinstance(action, RestoreCronJob):
            contest = self._contest(action.live, key, now)
            if now < contest.allowed_at:
                return live, None, contest.allowed_at
        written, overridden = self._write(action)
        if has_tracking_metadata(written, action.desired):
            self._written.pop(key, None)
        else:
            self._written[key] = _Written(_fingerprint(action), written)
        if contest is not None:
            contest.restores, contest.last = contest.restores + 1, now
        # Another client may have written at the same time, possibly without an event for this replica.
        return written, overridden, None if is_untouched(written) else now

    def _suspended(
        self, pipeline: Pipeline, live: CronJob | None, now: datetime
    ) -> tuple[CronJob | None, ActionFailure | None]:
        """Suspend the CronJob if the pipeline must not start runs; return it and the failure. Raises Conflict."""
        pause = suspension(pipeline, live, now)
        if pause is None:
            return live, None
        try:
            return self._suspend(pause), None
        except NotFound:
            return None, None
        except Conflict:
            raise
        except ClusterError as error:
            return live, _failure(f"CronJob {pause.live.namespace}/{pause.live.name}: suspend", error)

    def _check_secrets(
        self, pipeline: Pipeline, requeue_at: datetime | None
    ) -> tuple[Rejected | None, datetime | None]:
        """Return what is missing, and when to requeue. Raises ClusterError."""
        missing = self._secrets.check(pipeline)
        return (None, requeue_at) if missing is None else (missing[0], earliest([requeue_at, missing[1]]))

    def _write(self, action: ApplyCronJob | RestoreCronJob) -> tuple[CronJob, str]:
        desired, live = action.desired, action.live
        metadata = desired["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        expected = live.generation + 1 if live is not None else 1
        metadata["annotations"][constants.ANNOTATION_GENERATION] = str(expected)
        if live is not None:
            metadata["uid"] = live.uid  # the apply fails if the object was replaced in the meantime
        try:
            if live is not None and action.floor is not None:
                self._raise_floor(desired, live, action.floor)
            if isinstance(action, RestoreCronJob):
                written = self._replace(desired, action.live, expected)
            else:
                written = self._apply(desired)
                if live is not None and not is_untouched(live):
                    written = self._replace(desired, live, int(written["metadata"]["generation"]) + 1)
            if written["metadata"]["annotations"].get(constants.ANNOTATION_GENERATION) != str(
                written["metadata"]["generation"]
            ):
                # Only metadata has changed, or another client wrote in between; the next reconciliation reverts that.
                written = self._annotate(written, expected)
        except Invalid as error:
            raise Rejected(
                "CronJobRejected", f"Kubernetes refuses the CronJob of this pipeline: {error}", is_external=True
            ) from error
        except NotFound as error:
            raise Rejected(
                "WaitingForDeletion", f"CronJob {namespace}/{name} was deleted in the meantime", is_external=True
            ) from error
        self._store.overlay_write(CRONJOBS, written)
        fields = overridden_metadata(written["metadata"], metadata) + overridden_fields(
            written["spec"], desired["spec"]
        )
        return read_cronjob(written), _overridden(fields)

    def _apply(self, desired: Body, *, dry_run: bool = False) -> Body:
        return self._cluster.apply(CRONJOBS, desired, field_manager=constants.FIELD_MANAGER, dry_run=dry_run)

    def _raise_floor(self, desired: Body, live: CronJob, floor: datetime) -> None:
        """Raise lastScheduleTime before the CronJob may fire, unless the API server would reject the apply."""
        self._apply(desired, dry_run=True)
        # Kubernetes starts a run for scheduled times after lastScheduleTime.
        patch = {"metadata": {"uid": live.uid}, "status": {"lastScheduleTime": format_timestamp(floor)}}
        self._cluster.merge_patch(CRONJOBS, live.namespace, live.name, patch, subresource="status")

    def _replace(self, desired: Body, live: CronJob, generation: int) -> Body:
        return self._cluster.replace_spec(
            CRONJOBS,
            live.namespace,
            live.name,
            desired["spec"],
            uid=live.uid,
            annotations={constants.ANNOTATION_GENERATION: str(generation)},
            field_manager=constants.FIELD_MANAGER,
        )

    def _annotate(self, written: Body, expected: int) -> Body:
        metadata = written["metadata"]
        if int(metadata["generation"]) > expected:
            return written  # another client wrote: the next reconciliation restores the spec
        annotations = {constants.ANNOTATION_GENERATION: str(metadata["generation"])}
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": annotations}}
        return self._cluster.merge_patch(
            CRONJOBS, metadata["namespace"], metadata["name"], patch, field_manager=constants.FIELD_MANAGER
        )

    def _suspend(self, action: SuspendCronJob) -> CronJob:
        live = action.live
        annotations = {constants.ANNOTATION_GENERATION: str(live.generation + 1)}
        patch = {"metadata": {"uid": live.uid, "annotations": annotations}, "spec": {"suspend": True}}
        written = self._cluster.merge_patch(
            CRONJOBS, live.namespace, live.name, patch, field_manager=constants.FIELD_MANAGER
        )
        self._store.overlay_write(CRONJOBS, written)
        return read_cronjob(written)

    def _contest(self, live: CronJob, key: PipelineKey, now: datetime) -> _Contest:
        with self._lock:
            contest = self._contests.get(key)
            if contest is None or now >= contest.over_at:
                contest = self._contests[key] = _Contest(0, now)
        if contest.restores >= _FREE_RESTORES and not contest.manager:
            contest.manager = self._last_manager(live)
        return contest

    def _contested(self, key: PipelineKey, now: datetime) -> tuple[str, datetime | None]:
        """Return the field manager that keeps changing the CronJob, and when the contest is over."""
        with self._lock:
            contest = self._contests.get(key)
            if contest is not None and now >= contest.over_at:
                del self._contests[key]
                contest = None
        is_contested = contest is not None and contest.restores >= _FREE_RESTORES
        return (contest.manager, contest.over_at) if contest is not None and is_contested else ("", None)

    def _last_manager(self, live: CronJob) -> str:
        """Return the last field manager of the spec other than this program."""
        body = self._cluster.get(CRONJOBS, live.namespace, live.name) or {"metadata": {}}
        entries = [
            entry
            for entry in body["metadata"].get("managedFields") or []
            if entry.get("manager") != constants.FIELD_MANAGER and "f:spec" in (entry.get("fieldsV1") or {})
        ]
        newest: Body = max(entries, key=lambda entry: str(entry.get("time", "")), default={})
        return str(newest.get("manager") or "an unknown field manager")


def _fingerprint(action: ApplyCronJob | RestoreCronJob) -> str:
    return str(action.desired["metadata"]["annotations"][constants.ANNOTATION_FINGERPRINT])


def _check_usable(pipeline: Pipeline) -> None:
    if pipeline.is_deleting:
        raise Rejected(
            "WaitingForDeletion",
            "The pipeline is being deleted and waits for its finalizers: its CronJob is suspended, its runs are still "
            "recorded and reported",
        )
    if pipeline.invalid is not None:
        raise pipeline.invalid


def _failure(action: str, error: ClusterError) -> ActionFailure:
    _logger.warning("%s failed: %s", action, error)
    return ActionFailure(action, str(error))


def _overridden(fields: list[str]) -> str:
    if not fields:
        return ""
    more = f" and {len(fields) - _FIELDS_NAMED} more" if len(fields) > _FIELDS_NAMED else ""
    return (
        f"Admission changed fields that the operator applied, and the changes stay: "
        f"{', '.join(fields[:_FIELDS_NAMED])}{more}. "
        "See the mutating policies and webhooks of the cluster"
    )


def _recheck_pause(pipeline: Pipeline, blocker: Rejected, now: datetime) -> timedelta:
    """Return a pause that grows with the age of the blocker."""
    ready = condition(pipeline.status, "Ready")
    is_same = ready is not None and ready.status == "False" and ready.reason == blocker.reason
    elapsed = now - ready.last_transition_time if ready is not None and is_same else timedelta()
    return min(_LAST_RECHECK, max(_FIRST_RECHECK, elapsed))
