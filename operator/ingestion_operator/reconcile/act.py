"""Carrying out actions, each isolated from the others."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from ingestion_operator.k8s.memory import with_memory
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.reconcile.observed import ActionFailure
from ingestion_operator.runs.actions import DeleteJob, JobAction, PatchJob, ResumeJob
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.repetition import continued, refused
from ingestion_operator.runs.retry.replacement import successor

_logger = logging.getLogger(__name__)

_WORKER_TIME: Final = timedelta(seconds=60)
"""How long the actions for one pipeline may keep a worker; the rest is decided again in the next reconciliation."""

_REMEMBERED: Final = 10_000


class Outcome:
    """What came of actions."""

    def __init__(self) -> None:
        self.failures: list[ActionFailure] = []
        self.has_conflict = False
        """Whether a Job had changed since it was read."""
        self.has_written = False
        """Whether a Job has changed by them, of which no event will come (a deletion brings one), or some are left."""


class Actor:
    """Writes Jobs. May be shared by threads, one for each pipeline."""

    def __init__(self, cluster: ClusterApi, store: Store, clock: Clock) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock
        self._failed: OrderedDict[str, None] = OrderedDict()
        """UIDs of Jobs whose last action failed: the others' come first, since failures may take long."""

    def carry_out(self, actions: Sequence[JobAction]) -> Outcome:
        """Do all of them for which there is time; one that fails stops no other. Raises nothing of the API server's."""
        outcome, latest = Outcome(), self._clock.now() + _WORKER_TIME
        for action in sorted(actions, key=lambda each: each.job.uid in self._failed):
            if self._clock.now() > latest:
                outcome.has_written = True
                break
            name = f"Job {action.job.namespace}/{action.job.name}"
            try:
                outcome.has_written |= self._do(action)
                self._failed.pop(action.job.uid, None)
            except (Conflict, NotFound):
                outcome.has_conflict = True  # it has changed or gone since: decided again from what it is then
            except ClusterError as error:
                _logger.warning("%s: %s failed: %s", name, _purpose(action), error)
                outcome.failures.append(ActionFailure(f"{name}: {_purpose(action)}", str(error)))
                self._failed[action.job.uid] = None
                if len(self._failed) > _REMEMBERED:
                    self._failed.popitem(last=False)
        return outcome

    def _do(self, action: JobAction) -> bool:
        """Return whether a Job has changed in a way that brings no event."""
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
        containers = with_memory(body["spec"]["template"]["spec"]["containers"], memory)
        spec = {"suspend": False, "template": {"spec": {"containers": containers}}}
        resumed = PatchJob(job, "resume it", {constants.ANNOTATION_NEXT_MEMORY_LIMIT: None}, spec)
        try:
            return self._patch(job, resumed.patch)
        except Invalid:  # Kubernetes before 1.36
            return self._continue_elsewhere(job, body, memory)
        except Forbidden as error:  # a policy of the cluster
            return self._refuse(job, error)

    def _continue_elsewhere(self, job: Job, body: dict[str, Any], memory: str) -> bool:
        following = successor(body, memory)
        try:
            # Raises Conflict if an answer was lost: the next reconciliation finds the Job.
            created = self._cluster.create(JOBS, following, field_manager=constants.FIELD_MANAGER)
        except (Invalid, Forbidden) as error:
            return self._refuse(job, error)
        self._store.wrote(JOBS, created)
        return self._patch(job, continued(job, created["metadata"]["name"]).patch)

    def _refuse(self, job: Job, error: ClusterError) -> bool:
        _logger.warning("Job %s/%s cannot be given more memory: %s", job.namespace, job.name, error)
        return self._patch(job, refused(job, str(error)).patch)

    def _patch(self, job: Job, patch: dict[str, Any]) -> bool:
        written = self._cluster.merge_patch(JOBS, job.namespace, job.name, patch)
        self._store.wrote(JOBS, written)
        return bool(written["metadata"]["resourceVersion"] != job.resource_version)


def _purpose(action: JobAction) -> str:
    return "resume it" if isinstance(action, ResumeJob) else action.purpose
