"""The independent observer: it reads the API server alone, by watches of its own, and notes when it saw what."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES
from testing.watching import WatchThread

_LABEL_JOB: Final = "batch.kubernetes.io/controller-uid"
_ENDED: Final = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")


@dataclass
class Seen:
    """What was seen of one run. Times are seconds since 1970."""

    pipeline: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    """Names by UID."""
    unfinished: set[str] = field(default_factory=set)
    """UIDs of the Jobs that have not ended."""
    containers_ended: dict[str, float] = field(default_factory=dict)
    """When each pod's container was first seen as terminated."""
    working: set[str] = field(default_factory=set)
    """Pods whose container runs."""
    overlaps: list[tuple[str, str]] = field(default_factory=list)
    recorded_at: float | None = None
    record: dict[str, Any] | None = None
    ends: list[tuple[str, str]] = field(default_factory=list)
    unlisted_since: float | None = None
    unlisted: list[tuple[float, float]] = field(default_factory=list)
    """When a Job of it had not ended and no list of its pipeline's status had it."""


class Observer:
    """Watches the pipelines, Jobs and pods of a namespace until the block ends."""

    def __init__(self, connect: Callable[[], client.ApiClient], namespace: str) -> None:
        """Watch over connections of its own, one for each kind."""
        self._connect = connect
        self._namespace = namespace
        self._core = client.CoreV1Api(connect())
        self._changed = threading.Condition()
        self._runs: defaultdict[str, Seen] = defaultdict(Seen)
        self._run_of_job: dict[str, str] = {}
        self._listed: dict[str, frozenset[str]] = {}
        """Ids of the runs in each pipeline's status; absent once the pipeline has gone."""
        self._ended_pods: dict[str, tuple[str, float]] = {}
        """Job and moment by pod; a pod may be seen before its Job."""
        self._watches = ExitStack()

    def __enter__(self) -> Self:
        custom = f"/apis/{constants.API_VERSION}/namespaces/{self._namespace}/{constants.PLURAL}"
        watched = {
            custom: self._note_pipeline,
            f"/apis/batch/v1/namespaces/{self._namespace}/jobs": self._note_job,
            f"/api/v1/namespaces/{self._namespace}/pods": self._note_pod,
        }
        for path, note in watched.items():
            self._watches.enter_context(WatchThread(self._connect(), path, partial(self._note, note)))
        return self

    def __exit__(self, *_: object) -> None:
        self._watches.close()

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

    def is_listed(self, run: str) -> bool:
        """Return whether the last status of the run's pipeline has it; also where the pipeline has gone with it."""
        with self._changed:
            listed = self._listed.get(self._runs[run].pipeline)
            return listed is None or run in listed

    def unlisted(self, run: str) -> tuple[tuple[float, float], ...]:
        """Return when a run that had not ended was in no list of its pipeline's status, until now at most."""
        with self._changed:
            seen = self._runs[run]
            lasting = () if seen.unlisted_since is None else ((seen.unlisted_since, time.time()),)
            return (*seen.unlisted, *lasting)

    def _note(self, note: Callable[[dict[str, Any], float, bool], None], event: dict[str, Any]) -> None:
        now = time.time()
        with self._changed:
            note(event["object"], now, event["type"] == "DELETED")
            self._changed.notify_all()

    def _note_pipeline(self, body: dict[str, Any], now: float, is_deleted: bool) -> None:
        name, status = body["metadata"]["name"], body.get("status", {})
        for record in status.get("runs", []):
            seen = self._runs[record["id"]]
            seen.record, seen.pipeline = record, name
            if record["state"] not in FINISHED_STATES:
                continue
            if seen.recorded_at is None:
                seen.recorded_at = now
            end = (record["state"], record["reason"])
            if not seen.ends or seen.ends[-1] != end:
                seen.ends.append(end)
        if is_deleted:
            self._listed.pop(name, None)
        else:
            recorded = [record["id"] for record in status.get("runs", [])]
            self._listed[name] = frozenset([*recorded, *status.get("activeRuns", []), *status.get("queuedRuns", [])])
        for run, seen in self._runs.items():
            if seen.pipeline == name:
                self._compare(run, seen, now)

    def _note_job(self, body: dict[str, Any], now: float, is_deleted: bool) -> None:
        metadata = body["metadata"]
        if constants.LABEL_PIPELINE not in metadata.get("labels", {}):
            return
        uid, run = metadata["uid"], run_id_of(body)
        self._run_of_job[uid] = run
        seen = self._runs[run]
        seen.jobs[uid] = metadata["name"]
        seen.pipeline = seen.pipeline or metadata.get("annotations", {}).get(constants.ANNOTATION_PIPELINE_NAME, "")
        conditions = body.get("status", {}).get("conditions") or []
        has_ended = any(one["type"] in _ENDED and one["status"] == "True" for one in conditions)
        (seen.unfinished.discard if has_ended or is_deleted else seen.unfinished.add)(uid)
        self._compare(run, seen, now)
        for pod, (job, moment) in self._ended_pods.items():
            if job == uid:
                seen.containers_ended.setdefault(pod, moment)

    def _compare(self, run: str, seen: Seen, now: float) -> None:
        """Note whether a run that has not ended is in its pipeline's status."""
        listed = self._listed.get(seen.pipeline)
        is_unlisted = bool(seen.unfinished) and listed is not None and run not in listed
        if is_unlisted and seen.unlisted_since is None:
            seen.unlisted_since = now
        elif not is_unlisted and seen.unlisted_since is not None:
            seen.unlisted.append((seen.unlisted_since, now))
            seen.unlisted_since = None

    def _note_pod(self, body: dict[str, Any], now: float, is_deleted: bool) -> None:
        job = body["metadata"].get("labels", {}).get(_LABEL_JOB)
        if job is None:
            return
        pod, state = body["metadata"]["name"], container_state(body)
        if (run := self._run_of_job.get(job)) is not None:
            self._note_work(self._runs[run], pod, works=state == "running" and not is_deleted)
        if state != "terminated":
            return
        self._ended_pods.setdefault(pod, (job, now))
        if run is not None:
            self._runs[run].containers_ended.setdefault(pod, now)

    def _note_work(self, seen: Seen, pod: str, *, works: bool) -> None:
        if not works:
            seen.working.discard(pod)
        elif pod not in seen.working:
            # Events are missed while the API server is away: the other pod may have ended without one.
            seen.working = {other for other in seen.working if self._still_works(other)}
            seen.overlaps += [(other, pod) for other in seen.working]
            seen.working.add(pod)

    def _still_works(self, pod: str) -> bool:
        try:
            body = self._core.api_client.sanitize_for_serialization(
                self._core.read_namespaced_pod(pod, self._namespace)
            )
        except ApiException as error:
            return bool(error.status != 404)
        return container_state(body) == "running"


def run_id_of(job: dict[str, Any]) -> str:
    """Return the id of a Job's run: what its caller has chosen, else the Job's UID."""
    template = job["spec"]["template"].get("metadata", {})
    chosen = template.get("annotations", {}).get(constants.ANNOTATION_RUN_ID)
    return str(chosen or job["metadata"]["uid"])


def container_state(pod: dict[str, Any]) -> str:
    """Return the state of the runner's container: waiting, running or terminated; empty before its first one."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    states = (one["state"] for one in statuses if one["name"] == constants.RUNNER_CONTAINER)
    return next((key for state in states for key in state), "")
