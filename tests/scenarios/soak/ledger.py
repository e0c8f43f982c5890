"""What was seen of runs, and which of it must never be: pure, fed with the API server's events."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind

Body = dict[str, Any]
Run = tuple[str, str]
"""The uid of its pipeline, and its id."""

WATCHED: Final = (PIPELINES, CRONJOBS, JOBS, PODS)


@dataclass
class _Job:
    name: str
    run: str
    owner: str
    admitted_at: str = ""
    admitted_in: int = 0
    """The version of the Job that was seen first with its admission."""


@dataclass(frozen=True)
class _Pod:
    name: str
    job: str
    pipeline: str
    created: str
    version: int
    """The first that was seen."""


@dataclass
class Ledger:
    """Belongs to one thread at a time."""

    records: dict[Run, Body] = field(default_factory=dict)
    """The last record of each run."""
    violations: list[str] = field(default_factory=list)
    pipelines: dict[str, str] = field(default_factory=dict)
    """Names of the pipelines that are there, by uid."""
    _pipeline_of: dict[str, str] = field(default_factory=dict)
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _alive: dict[str, _Pod] = field(default_factory=dict)
    _together: set[tuple[_Pod, _Pod]] = field(default_factory=set)
    _pod_versions: dict[str, int] = field(default_factory=dict)

    def note(self, kind: Kind, change: str, body: Body) -> None:
        """Take notice of an object that was ADDED, MODIFIED or DELETED."""
        if kind is PIPELINES:
            self._note_pipeline(change, body)
        elif kind is CRONJOBS:
            self._pipeline_of[body["metadata"]["uid"]] = _owner(body)
        elif kind is JOBS:
            self._note_job(body)
        elif kind is PODS:
            self._note_pod(change, body)

    def restarted(self, kind: Kind) -> None:
        """Forget what a watch that ended may have missed the end of: the next one begins with all that is there."""
        if kind is PODS:
            self._alive.clear()
        elif kind is PIPELINES:
            self.pipelines.clear()

    def runs(self) -> dict[Run, str]:
        """Return all runs of pipelines that are still there, with the names of their Jobs."""
        found = {(self._root(job.owner), job.run): job.name for job in self._jobs.values()}
        return {run: name for run, name in found.items() if run[0] in self.pipelines}

    def all_run_ids(self) -> set[str]:
        """Return the ids of all runs that there have ever been."""
        return {job.run for job in self._jobs.values()}

    def unfinished(self, accepted: Iterable[Run]) -> list[str]:
        """Return which runs, of those seen and those that a caller was promised, have no reported end."""
        expected = {run: "a Job that was never seen" for run in accepted if run[0] in self.pipelines} | self.runs()
        return [
            f"run {run} of {self.pipelines[uid]} ({job}): {_progress_of(self.records.get((uid, run)))}"
            for (uid, run), job in expected.items()
            if not _is_reported(self.records.get((uid, run)))
        ]

    def doubled(self) -> list[str]:
        """Return which admitted runs worked at the same time though their pipelines allow one, and other doubles."""
        carried: defaultdict[Run, list[str]] = defaultdict(list)
        for job in self._jobs.values():
            carried[self._root(job.owner), job.run].append(job.name)
        several = [f"run {run} had the Jobs {names}" for (_, run), names in carried.items() if len(names) > 1]
        return several + [
            f"pods {one.name} and {other.name} worked at the same time"
            for one, other in self._together
            if self._was_admitted(one) and self._was_admitted(other) and self._root_of(one) == self._root_of(other)
        ]

    def _note_pipeline(self, change: str, body: Body) -> None:
        uid, name = body["metadata"]["uid"], body["metadata"]["name"]
        if change == "DELETED":
            self.pipelines.pop(uid, None)
            return
        self.pipelines[uid] = name
        records = body.get("status", {}).get("runs", [])
        ids = [record["id"] for record in records]
        if len(ids) != len(set(ids)):
            self.violations.append(f"{name} has two records of one run: {ids}")
        for record in records:
            before = self.records.get((uid, record["id"]), {})
            self.records[uid, record["id"]] = record
            if before.get("state") in FINISHED_STATES and _end(before) != _end(record):
                self.violations.append(f"run {record['id']} of {name} ended twice: {_end(before)}, {_end(record)}")

    def _note_job(self, body: Body) -> None:
        metadata = body["metadata"]
        if constants.LABEL_PIPELINE not in metadata.get("labels", {}):
            return
        job = self._jobs.setdefault(metadata["uid"], _Job(metadata["name"], _run_id(body), _owner(body)))
        job.admitted_at = metadata.get("annotations", {}).get(constants.ANNOTATION_ADMITTED_AT, "")
        if job.admitted_at and not job.admitted_in:
            job.admitted_in = int(metadata["resourceVersion"])

    def _note_pod(self, change: str, body: Body) -> None:
        metadata = body["metadata"]
        labels = metadata.get("labels", {})
        if constants.LABEL_PIPELINE not in labels:
            return
        if change == "DELETED" or not is_alive(body):
            self._alive.pop(metadata["uid"], None)
        elif metadata["uid"] not in self._alive:
            job, pipeline = labels[constants.LABEL_JOB_UID], labels[constants.LABEL_PIPELINE]
            version = self._pod_versions.setdefault(metadata["uid"], int(metadata["resourceVersion"]))
            pod = _Pod(metadata["name"], job, pipeline, metadata["creationTimestamp"], version)
            others = [other for other in self._alive.values() if other.pipeline == pipeline and other.job != job]
            self._together.update((other, pod) for other in others)
            self._alive[metadata["uid"]] = pod

    def _was_admitted(self, pod: _Pod) -> bool:
        """Return whether the operator had admitted the pod's run before: a manual or scheduled one starts unasked.

        Times have whole seconds, in which a scheduled run may start, be requeued and be admitted: the versions decide.
        """
        job = self._jobs.get(pod.job)
        if job is None or not job.admitted_at or job.admitted_at > pod.created:
            return False
        return job.admitted_at < pod.created or job.admitted_in < pod.version

    def _root_of(self, pod: _Pod) -> str:
        return self._root(self._jobs[pod.job].owner)

    def _root(self, owner: str) -> str:
        """Return the pipeline of what belongs to it directly, or to its CronJob."""
        return self._pipeline_of.get(owner, owner)


def is_alive(pod: Body) -> bool:
    """Return whether a pod works or may still come to it."""
    return pod.get("status", {}).get("phase") in ("Pending", "Running") and not pod["metadata"].get("deletionTimestamp")


def orphans(objects: Mapping[Kind, Iterable[Body]]) -> dict[str, str]:
    """Return the objects that have owners of which none is there any more, as `kind name` by uid."""
    there = {body["metadata"]["uid"] for bodies in objects.values() for body in bodies}
    return {
        body["metadata"]["uid"]: f"{kind.kind} {body['metadata']['name']}"
        for kind, bodies in objects.items()
        for body in bodies
        if (owners := body["metadata"].get("ownerReferences")) and not any(owner["uid"] in there for owner in owners)
    }


def _owner(body: Body) -> str:
    owners = body["metadata"].get("ownerReferences", [])
    return str(next((owner["uid"] for owner in owners if owner.get("controller")), ""))


def _end(record: Body) -> tuple[Any, Any]:
    return record.get("state"), record.get("reason")


def _is_reported(record: Body | None) -> bool:
    return record is not None and record["state"] in FINISHED_STATES and record.get("report") == "Done"


def _progress_of(record: Body | None) -> str:
    return "not in the status" if record is None else f"{_end(record)}, report {record.get('report')}"


def _run_id(job: Body) -> str:
    template = job["spec"].get("template", {}).get("metadata", {})
    return str(template.get("annotations", {}).get(constants.ANNOTATION_RUN_ID) or job["metadata"]["uid"])
