"""Execution of actions, each isolated from the others."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from ingestion_operator.k8s.memory import with_memory_limit
from ingestion_operator.k8s.objects import Body
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.reconcile.observed import ActionFailure
from ingestion_operator.runs.actions import DeleteJob, JobAction, PatchJob, ResumeJob
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.oom_retry import record_replacement, record_resize_error
from ingestion_operator.runs.retry.replacement import replacement_job

_logger = logging.getLogger(__name__)

_WORKER_TIME: Final = timedelta(seconds=60)
"""How long the actions for one pipeline may use a worker; the next reconciliation decides the rest again."""

_MAX_FAILED: Final = 10_000


class Outcome:
    """The result of a list of actions."""

    def __init__(self) -> None:
        self.failures: list[ActionFailure] = []
        self.has_conflict = False
        """Whether a Job has changed since it was read."""
        self.has_written = False
        """Whether an action changed a Job without an event (a deletion has one), or there was no time for all."""


class ActionExecutor:
    """Writes Jobs. Thread-safe, with one thread per pipeline."""

    def __init__(self, cluster: ClusterApi, store: Store, clock: Clock) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock
        self._failed: OrderedDict[str, None] = OrderedDict()
        """UIDs of Jobs whose last action failed. Their actions come last, since failures may take long."""

    def execute(self, actions: Sequence[JobAction]) -> Outcome:
        """Execute actions while there is time; a failed one does not stop the others. Never raises ClusterError."""
        outcome, latest = Outcome(), self._clock.now() + _WORKER_TIME
        for action in sorted(actions, key=lambda each: each.job.uid in self._failed):
            if self._clock.now() > latest:
                outcome.has_written = True
                break
            name = f"Job {action.job.namespace}/{action.job.name}"
            try:
                outcome.has_written |= self._execute_one(action)
                self._failed.pop(action.job.uid, None)
            except (Conflict, NotFound):
                outcome.has_conflict = True  # the Job changed or is gone: the next reconciliation decides again
            except ClusterError as error:
                _logger.warning("%s: %s failed: %s", name, _purpose(action), error)
                outcome.failures.append(ActionFailure(f"{name}: {_purpose(action)}", str(error)))
                self._failed[action.job.uid] = None
                if len(self._failed) > _MAX_FAILED:
                    self._failed.popitem(last=False)
        return outcome

    def _execute_one(self, action: JobAction) -> bool:
        """Return whether a Job has changed without an event."""
        match action:
            case PatchJob(job=job):
                return self._patch(job, action.patch)
            case DeleteJob(job=job):
                self._cluster.delete(
                    JOBS,
                    job.namespace,
                    job.name,
                    propagation="Background",
                    uid=job.uid,
                    resource_version=job.resource_version,
                )
                return False
            case ResumeJob(job=job, memory=memory):
                return self._resume(job, memory)

    def _resume(self, job: Job, memory: str) -> bool:
        body = self._cluster.get(JOBS, job.namespace, job.name)
        if body is None or body["metadata"]["resourceVersion"] != job.resource_version:
            raise Conflict(f"Job {job.namespace}/{job.name} has changed", code=409)
        containers = with_memory_limit(body["spec"]["template"]["spec"]["containers"], memory)
        spec = {"suspend": False, "template": {"spec": {"containers": containers}}}
        resumed = PatchJob(job, "resume", {constants.ANNOTATION_NEXT_MEMORY_LIMIT: None}, spec)
        try:
            return self._patch(job, resumed.patch)
        except Invalid:  # Kubernetes before 1.36
            return self._replace_job(job, body, memory)
        except Forbidden as error:  # a policy of the cluster
            return self._record_resize_error(job, error)

    def _replace_job(self, job: Job, body: Body, memory: str) -> bool:
        desired = replacement_job(body, memory)
        try:
            # Raises Conflict if a response was lost: the next reconciliation finds the Job.
            created = self._cluster.create(JOBS, desired, field_manager=constants.FIELD_MANAGER)
        except (Invalid, Forbidden) as error:
            return self._record_resize_error(job, error)
        self._store.overlay_write(JOBS, created)
        return self._patch(job, record_replacement(job, created["metadata"]["name"]).patch)

    def _record_resize_error(self, job: Job, error: ClusterError) -> bool:
        _logger.warning("The memory limit of Job %s/%s cannot be raised: %s", job.namespace, job.name, error)
        return self._patch(job, record_resize_error(job, str(error)).patch)

    def _patch(self, job: Job, patch: Body) -> bool:
        written = self._cluster.merge_patch(JOBS, job.namespace, job.name, patch)
        self._store.overlay_write(JOBS, written)
        return bool(written["metadata"]["resourceVersion"] != job.resource_version)


def _purpose(action: JobAction) -> str:
    return "resume" if isinstance(action, ResumeJob) else action.purpose
