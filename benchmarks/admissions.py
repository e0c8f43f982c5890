"""When the operator has admitted which Job: seen by a watch, so that the measuring costs next to nothing."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, Final, Self

import urllib3
from kubernetes import client

from ingestion_operator.constants import ANNOTATION_RUN_ID

_WATCH_SECONDS: Final = 300


class Admissions:
    """Watches the Jobs of a namespace until the block ends."""

    def __init__(self, api_client: client.ApiClient, namespace: str) -> None:
        self._api = api_client
        self._path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="admissions", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True  # the thread is a daemon: it may wait for an event that never comes

    def wait(self, run_id: str, *, timeout: float) -> float | None:
        """Return when (time.perf_counter) the Job of a run was seen unsuspended, None if not in time."""
        with self._changed:
            self._changed.wait_for(lambda: run_id in self._seen, timeout)
            return self._seen.get(run_id)

    def _run(self) -> None:
        while not self._stopped:
            try:
                for event in self._events():
                    self._note(event)
            except (urllib3.exceptions.HTTPError, OSError):
                time.sleep(0.1)  # the next watch begins with all Jobs that there are

    def _events(self) -> Iterator[dict[str, Any]]:
        serialized = self._api.param_serialize(
            "GET",
            self._path,
            query_params=[("watch", "true"), ("timeoutSeconds", _WATCH_SECONDS)],
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*serialized, _request_timeout=(5, _WATCH_SECONDS + 10)).response
        rest = b""
        for piece in response.stream(amt=None):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)

    def _note(self, event: dict[str, Any]) -> None:
        spec = event["object"].get("spec", {})
        run_id = spec.get("template", {}).get("metadata", {}).get("annotations", {}).get(ANNOTATION_RUN_ID)
        if run_id and not spec.get("suspend"):
            with self._changed:
                self._seen.setdefault(run_id, time.perf_counter())
                self._changed.notify_all()
