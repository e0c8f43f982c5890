"""Finds the custom resource of a pipeline by its bare name, the only name that OpenMetadata sends.

The resource of a deployed pipeline has a name that is derived from the bare name. A pipeline that a user applied may
have any resource name, so it is found by the last part of its fully qualified name. The cache has both. Before a name
counts as unknown, the API server is read: with a GET for a deployed pipeline, and with a list for applied ones. This
list may be long, so with a cache it is made at most once in LIST_PAUSE for all unknown names together.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.cache.projections import PipelineRecord, read_pipeline
from ingestion_operator.cache.reading import RecordReader
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.names import check_name, resource_name
from ingestion_operator.ports import PIPELINES, Clock, ClusterReader
from ingestion_operator.runs.jobs import PipelineKey

LIST_PAUSE: Final = timedelta(seconds=5)
"""Minimum time between lists of the applied pipelines. A watch shows a later one sooner."""


class PipelineLookup:
    """The pipelines of one namespace by their bare names. May be shared by threads."""

    def __init__(self, cluster: ClusterReader, namespace: str, clock: Clock, cache: CacheAccess) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        self._cache = cache
        self._reader = RecordReader()
        self._listed_at = clock.now() - LIST_PAUSE

    def find(self, name: str) -> PipelineRecord:
        """Return a pipeline from the cache, for reading.

        Raises:
            NotFound: It does not exist or is being deleted.
            Rejected: AmbiguousName: several resources that users applied have the name.
        """
        check_name(name)
        store = self._cache.current()
        known = store.pipelines_called(self._namespace, name) if store is not None else []
        found = self._deployed_among(known, name) or self._applied_among(known, name)
        return found if found is not None and not found.is_deleting else self.find_live(name)

    def find_live(self, name: str) -> PipelineRecord:
        """Return the live pipeline, as the basis of a write. Raises the errors of `find`."""
        found = self.get_live(name) or self._not_in_cache(name)
        if found is None or found.is_deleting:
            raise NotFound(f"no pipeline {name!r} in namespace {self._namespace}", code=404)
        return found

    def get_live(self, name: str) -> PipelineRecord | None:
        """Return the live pipeline, even while it is being deleted, or None.

        With a cache, the names of applied pipelines come from the cache: a pipeline that was applied within the delay
        of the watch is missed, as if it were applied a moment later. Raises Rejected as `find` does.
        """
        deployed = self.get(resource_name(check_name(name)))
        if deployed is not None and self._deployed_among([deployed], name) is not None:
            return deployed
        store = self._cache.current()
        if store is None:
            return self._applied_among(self._listed(name), name)
        known = [one for one in store.pipelines_called(self._namespace, name) if not one.is_deployed]
        return self._applied_among([live for one in known if (live := self.get(one.name)) is not None], name)

    def get(self, resource: str) -> PipelineRecord | None:
        """Return the live pipeline of a resource name, or None."""
        body = self._cluster.get(PIPELINES, self._namespace, resource)
        return read_pipeline(body) if body is not None else None

    def _deployed_among(self, records: Sequence[PipelineRecord], name: str) -> PipelineRecord | None:
        wanted = PipelineKey(self._namespace, resource_name(name))
        return next((one for one in records if one.is_deployed and (one.key, one.bare_name) == (wanted, name)), None)

    def _applied_among(self, records: Sequence[PipelineRecord], name: str) -> PipelineRecord | None:
        found = [one for one in records if not one.is_deployed and one.bare_name == name]
        if len(found) > 1:
            raise Rejected(
                "AmbiguousName",
                f"{len(found)} IngestionPipelines in namespace {self._namespace} are called {name!r} in OpenMetadata: "
                f"{', '.join(sorted(one.name for one in found))}. Calls carry only this name: give all but one of them "
                "another fullyQualifiedName",
            )
        return found[0] if found else None

    def _not_in_cache(self, name: str) -> PipelineRecord | None:
        """Return an applied pipeline that is missing in the cache, if LIST_PAUSE has passed."""
        start = self._clock.now()
        if self._cache.current() is None or start < self._listed_at + LIST_PAUSE:
            return None
        found = self._applied_among(self._listed(name), name)
        self._listed_at = start
        return found

    def _listed(self, name: str) -> list[PipelineRecord]:
        """Return the live applied pipelines with a name."""
        found = []
        for body in self._cluster.list(PIPELINES, self._namespace, {}, exclude_label=constants.LABEL_DEPLOYED_BY):
            record = self._reader.read(PIPELINES, body)
            if isinstance(record, PipelineRecord) and record.bare_name == name:
                self._cache.overlay_write(
                    PIPELINES, body
                )  # the next request finds it, though the watch has not brought it
                found.append(record)
        return found
