"""Stopping runs without losing their history: `runs.stopping` says how, this writes it."""

from typing import Final

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, NotFound, Unavailable
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.runs.jobs import Job, read_job
from ingestion_operator.runs.stopping import stop

_ATTEMPTS: Final = 5


class RunStopper:
    """Asks Jobs of one namespace to end; `caller` is who asks for it, for people."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock, caller: str, cache: CacheAccess) -> None:
        self._cluster = cluster
        self._cache = cache
        self._namespace = namespace
        self._clock = clock
        self._caller = caller

    def stop(self, job: Job) -> bool:
        """Make a Job end; return whether it had not ended already.

        The request is written only to the Job as it was read: one that has changed since, such as by its admission, is
        read again. Raises Unavailable when other clients keep writing it.
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
                if body is not None:
                    self._cache.wrote(JOBS, body)  # maybe by this client, and only the answer was lost
            except NotFound:
                return False
            else:
                self._cache.wrote(JOBS, stopped)
                return True
        raise Unavailable(f"Job {self._namespace}/{job.name} changes too fast to be stopped")
