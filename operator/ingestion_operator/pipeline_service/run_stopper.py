"""Stops runs and keeps their history: writes the patches of `runs.stopping`."""

from typing import Final

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, NotFound, Unavailable
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.runs.jobs import Job, read_job
from ingestion_operator.runs.stopping import stop

_ATTEMPTS: Final = 5


class RunStopper:
    """Stops Jobs of one namespace; `caller` is recorded as the requester."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock, caller: str, cache: CacheAccess) -> None:
        self._cluster = cluster
        self._cache = cache
        self._namespace = namespace
        self._clock = clock
        self._caller = caller

    def stop(self, job: Job) -> bool:
        """Request the end of a Job; return False if it had already ended.

        The patch has the resourceVersion of the read Job. If the Job has changed since, such as by its admission, it is
        read again.

        Raises:
            Unavailable: Other clients keep writing the Job.
        """
        live: Job | None = job
        for _ in range(_ATTEMPTS):
            if live is None or live.uid != job.uid or live.has_finished:
                return False
            if (action := stop(live, self._caller, self._clock.now())) is None:
                return True
            try:
                stopped = self._cluster.merge_patch(
                    JOBS, self._namespace, job.name, action.patch, field_manager=constants.CLIENT_FIELD_MANAGER
                )
            except Conflict:
                body = self._cluster.get(JOBS, self._namespace, job.name)
                live = read_job(body) if body is not None else None
                if body is not None:  # perhaps written by this client, and only the response was lost
                    self._cache.overlay_write(JOBS, body)
            except NotFound:
                return False
            else:
                self._cache.overlay_write(JOBS, stopped)
                return True
        raise Unavailable(f"Job {self._namespace}/{job.name} changes too often to be stopped")
