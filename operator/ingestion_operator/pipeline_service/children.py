"""The Jobs and pods of a pipeline's runs, from the cache or the API server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.cache.projections import Record
from ingestion_operator.cache.reading import RecordReader
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.ports import CRONJOBS, JOBS, PODS, ClusterReader, Kind
from ingestion_operator.runs.history import owned
from ingestion_operator.runs.jobs import CronJob, Job
from ingestion_operator.runs.pods import Pod

_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class Children:
    """The Jobs and pods of a pipeline."""

    jobs: Sequence[Job]
    """Selected by controller uid."""
    pods: Sequence[Pod]
    """Selected by label. The owner of each pod shows its Job."""
    is_live: bool
    """Whether they were read from the API server. Otherwise very recent changes by other clients may be missing."""


class ChildReader:
    """Reads in one namespace. May be shared by threads."""

    def __init__(self, cluster: ClusterReader, namespace: str, cache: CacheAccess) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._cache = cache
        self._reader = RecordReader()

    def read(self, pipeline: Pipeline, *, live: bool = False, with_pods: bool = True) -> Children:
        """Return the pipeline's Jobs and pods, from the API server if `live` or without a current cache.

        Raises:
            ClusterError: The API server cannot be read.
        """
        name, store = pipeline.cronjob_name, None if live else self._cache.current()
        if store is not None:
            jobs = owned(
                store.jobs_of(self._namespace, name),
                pipeline.uid,
                _own_uid(pipeline, [store.cronjob(self._namespace, name)]),
            )
            return Children(jobs, store.pods_of(self._namespace, name), is_live=False)
        found = self._list(JOBS, Job, name)
        # The pipeline itself controls Jobs of triggered runs.
        cronjobs = self._list(CRONJOBS, CronJob, name) if any(_is_scheduled(job) for job in found) else []
        jobs = owned(found, pipeline.uid, _own_uid(pipeline, cronjobs))
        return Children(jobs, self._list(PODS, Pod, name) if jobs and with_pods else [], is_live=True)

    def _list(self, kind: Kind, record: type[_R], name: str) -> list[_R]:
        bodies: list[dict[str, Any]] = self._cluster.list(kind, self._namespace, {constants.LABEL_PIPELINE: name})
        read = (self._reader.read(kind, body) for body in bodies)
        return [one for one in read if isinstance(one, record)]


def _is_scheduled(job: Job) -> bool:
    return job.owner is not None and job.owner.kind == CRONJOBS.kind


def _own_uid(pipeline: Pipeline, cronjobs: Sequence[CronJob | None]) -> str | None:
    """Return the uid of the pipeline's CronJob, but not of a CronJob of a deleted pipeline with its name."""
    own = (one.uid for one in cronjobs if one is not None and one.owner is not None and one.owner.uid == pipeline.uid)
    return next(own, None)
