"""The independent watcher: it reads the API server alone, by watches of its own, and notes when it saw what."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES
from ingestion_operator.runs.classify import run_id
from tests.support.watching import events

_LABEL_JOB: Final = "batch.kubernetes.io/controller-uid"
_PAUSE_SECONDS: Final = 0.2


@dataclass
class Seen:
    """What was seen of one run. Times are seconds since 1970."""

    pipeline: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    """Names by UID."""
    containers_ended: dict[str, float] = field(default_factory=dict)
    """When each pod's container was first seen as terminated."""
    recorded_at: float | None = None
    record: dict[str, Any] | None = None
    ends: list[tuple[str, str]] = field(default_factory=list)


class Observer:
    """Watches the pipelines, Jobs and pods of a namespace until the block ends."""

    def __init__(self, connect: Callable[[], client.ApiClient], namespace: str) -> None:
        """Watch over connections of its own, one for each kind."""
        self._connect = connect
        self._namespace = namespace
        self._changed = threading.Condition()
        self._runs: defaultdict[str, Seen] = defaultdict(Seen)
        self._run_of_job: dict[str, str] = {}
        self._ended_pods: dict[str, tuple[str, float]] = {}
        """Job and moment by pod; a pod may be seen before its Job."""
        self._stopped = False

    def __enter__(self) -> Self:
        custom = f"/apis/{constants.API_VERSION}/namespaces/{self._namespace}/{constants.PLURAL}"
        watched = {
            custom: self._note_pipeline,
            f"/apis/batch/v1/namespaces/{self._namespace}/jobs": self._note_job,
            f"/api/v1/namespaces/{self._namespace}/pods": self._note_pod,
        }
        for path, note in watched.items():
            name = f"observer of {path.rpartition('/')[2]}"
            threading.Thread(target=self._watch, args=(path, note), name=name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True  # the threads are daemons: they may wait for events that never come

    def wait(self, what: str, condition: Callable[[Seen], bool], run: str, *, timeout: float) -> Seen:
        """Return what was seen of a run once that fulfils the condition. Raises AssertionError."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._runs[run]), timeout):
                raise AssertionError(f"waited {timeout:.0f} s for {what}; seen so far: {self._runs[run]}")
            return self._runs[run]

    def seen(self, run: str) -> Seen:
        """Return what was seen of a run."""
        with self._changed:
            return self._runs[run]

    def runs(self) -> dict[str, Seen]:
        """Return all runs of which a Job was seen, by id."""
        with self._changed:
            return {run: seen for run, seen in self._runs.items() if seen.jobs}

    def ended_at(self, run: str) -> float | None:
        """Return when the last attempt's container was seen as terminated."""
        with self._changed:
            return max(self._runs[run].containers_ended.values(), default=None)

    def _watch(self, path: str, note: Callable[[dict[str, Any], float], None]) -> None:
        api = self._connect()
        while not self._stopped:
            try:
                for event in events(api, path):
                    now = time.time()
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        with self._changed:
                            note(event["object"], now)
                            self._changed.notify_all()
            except (urllib3.exceptions.HTTPError, ApiException, OSError):
                time.sleep(_PAUSE_SECONDS)  # the next watch begins with all that there is

    def _note_pipeline(self, body: dict[str, Any], now: float) -> None:
        for record in body.get("status", {}).get("runs", []):
            seen = self._runs[record["id"]]
            seen.record, seen.pipeline = record, body["metadata"]["name"]
            if record["state"] not in FINISHED_STATES:
                continue
            if seen.recorded_at is None:
                seen.recorded_at = now
            end = (record["state"], record["reason"])
            if not seen.ends or seen.ends[-1] != end:
                seen.ends.append(end)

    def _note_job(self, body: dict[str, Any], _: float) -> None:
        if constants.LABEL_PIPELINE not in body["metadata"].get("labels", {}):
            return
        uid, run = body["metadata"]["uid"], run_id(body)
        self._run_of_job[uid] = run
        self._runs[run].jobs[uid] = body["metadata"]["name"]
        for pod, (job, moment) in self._ended_pods.items():
            if job == uid:
                self._runs[run].containers_ended.setdefault(pod, moment)

    def _note_pod(self, body: dict[str, Any], now: float) -> None:
        job = body["metadata"].get("labels", {}).get(_LABEL_JOB)
        statuses = body.get("status", {}).get("containerStatuses", [])
        has_ended = any(s["name"] == constants.RUNNER_CONTAINER and "terminated" in s["state"] for s in statuses)
        if job is None or not has_ended:
            return
        pod = body["metadata"]["name"]
        self._ended_pods.setdefault(pod, (job, now))
        if (run := self._run_of_job.get(job)) is not None:
            self._runs[run].containers_ended.setdefault(pod, now)
