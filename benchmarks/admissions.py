"""When the operator has admitted which Job: seen by a watch, so that the measuring costs next to nothing."""

import threading
import time
from typing import Any, Self

from kubernetes import client

from ingestion_operator.constants import ANNOTATION_RUN_ID
from testing.watching import WatchThread


class Admissions:
    """Watches the Jobs of a namespace until the block ends."""

    def __init__(self, api_client: client.ApiClient, namespace: str) -> None:
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._watch = WatchThread(api_client, path, self._note)

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()

    def wait(self, run_id: str, *, timeout: float) -> float | None:
        """Return when (time.perf_counter) the Job of a run was seen unsuspended, None if not in time."""
        with self._changed:
            self._changed.wait_for(lambda: run_id in self._seen, timeout)
            return self._seen.get(run_id)

    def _note(self, event: dict[str, Any]) -> None:
        spec = event["object"].get("spec", {})
        run_id = spec.get("template", {}).get("metadata", {}).get("annotations", {}).get(ANNOTATION_RUN_ID)
        if run_id and not spec.get("suspend"):
            with self._changed:
                self._seen.setdefault(run_id, time.perf_counter())
                self._changed.notify_all()
