"""Stopping runs without losing their history: `runs.stopping` says how, this writes it."""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.runs.stopping import has_finished, stop_patch

_ATTEMPTS: Final = 5


class RunStopper:
    """Marks Jobs of one namespace; `caller` is who asks for it, as people shall read it."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock, caller: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        self._caller = caller

    def stop(self, job: dict[str, Any]) -> bool:
        """Make a Job end; tell whether it had not ended already.

        The mark is written only onto the Job that was read: one that is admitted at the same moment is read anew.
        Raises Unavailable when others keep writing it.
        """
        live: dict[str, Any] | None = job
        name = job["metadata"]["name"]
        for _ in range(_ATTEMPTS):
            if live is None or live["metadata"]["uid"] != job["metadata"]["uid"] or has_finished(live):
                return False
            if (patch := stop_patch(live, self._caller, self._clock.now())) is None:
                return True
            try:
                self._cluster.merge_patch(
                    JOBS, self._namespace, name, patch, field_manager=constants.CLIENT_FIELD_MANAGER
                )
            except Conflict:
                live = self._cluster.get(JOBS, self._namespace, name)
            else:
                return True
        raise Unavailable(f"Job {self._namespace}/{name} changes too fast to be stopped")
