"""Stopping runs without losing their history.

A Job that runs gets a mark that says why it ends, and a deadline of one second: Kubernetes then ends its pod with
SIGTERM and keeps the Job as failed. A Job that is suspended does not count a deadline, so it gets the mark alone:
the operator records the run as stopped and deletes the Job.
"""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.ports import JOBS, Clock, ClusterApi

_ATTEMPTS: Final = 5
_FINISHED: Final = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")


class RunStopper:
    """Marks Jobs of one namespace."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock

    def stop(self, job: dict[str, Any]) -> bool:
        """Make a Job end; tell whether it had not ended already.

        The mark is written only onto the Job that was read: one that is admitted at the same moment is read anew.
        Raises Unavailable when others keep writing it.
        """
        live: dict[str, Any] | None = job
        name = job["metadata"]["name"]
        for _ in range(_ATTEMPTS):
            if live is None or live["metadata"]["uid"] != job["metadata"]["uid"] or _has_finished(live):
                return False
            if (patch := self._patch(live)) is None:
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

    def _patch(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Return what is still to be written, None when the Job is being stopped already."""
        metadata = job["metadata"]
        is_marked = constants.ANNOTATION_STOP in metadata.get("annotations", {})
        needs_deadline = not job["spec"].get("suspend") and job["spec"].get("activeDeadlineSeconds") != 1
        if metadata.get("deletionTimestamp") or (is_marked and not needs_deadline):
            return None
        patch: dict[str, Any] = {"metadata": {"resourceVersion": metadata["resourceVersion"]}}
        if not is_marked:
            patch["metadata"]["annotations"] = {constants.ANNOTATION_STOP: format_timestamp(self._clock.now())}
        if needs_deadline:
            patch["spec"] = {"activeDeadlineSeconds": 1}
        return patch


def _has_finished(job: dict[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(c.get("type") in _FINISHED and c.get("status") == "True" for c in conditions)
