"""Finding the custom resource behind a pipeline's bare name, which is all that OpenMetadata sends.

A pipeline that was deployed has a resource whose name follows from the pipeline's: one read. Others, applied by
hand, may be called anything; they are told by the last part of their fully qualified name, among those alone
that no deploy made (the API server sorts out the others by label). Of these it gives a table: names alone, since
whole objects are thirty times as much. All their names are remembered for a while, and checked at each use.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.pipeline_service.names import check_name, last_part, resource_name
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi

_REMEMBERED_FOR: Final = timedelta(seconds=30)
"""A second resource for the same pipeline is noticed after this time."""

_Names = Mapping[str, Sequence[str]]
"""Resources by the bare names of the pipelines that they stand for."""


def is_deployed(body: dict[str, Any]) -> bool:
    """Tell whether a pipeline was made by a deploy rather than applied by somebody."""
    return bool(body["metadata"].get("labels", {}).get(constants.LABEL_DEPLOYED_BY) == constants.DEPLOYED_BY)


def pipeline_name_of(body: dict[str, Any]) -> str:
    """Return the bare name in OpenMetadata of the pipeline that a resource stands for."""
    annotations = body["metadata"].get("annotations", {})
    if is_deployed(body) and constants.ANNOTATION_ENTITY_NAME in annotations:
        return str(annotations[constants.ANNOTATION_ENTITY_NAME])
    return _bare_name(str(body["metadata"]["name"]), body["spec"].get("fullyQualifiedName"))


def manager_of(body: dict[str, Any]) -> str:
    """Return who wrote a pipeline's spec last, as the API server keeps it."""
    entries = [entry for entry in body["metadata"].get("managedFields", []) if "f:spec" in entry.get("fieldsV1", {})]
    entries.sort(key=lambda entry: str(entry.get("time", "")))
    return str(entries[-1].get("manager")) if entries else "somebody else"


class Directory:
    """The pipelines of one namespace by their bare names. May be shared by threads."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        self._remembered: _Names = {}
        self._until = clock.now()

    def find(self, name: str) -> dict[str, Any]:
        """Return the resource of a pipeline.

        Raises NotFound when there is none or it is being deleted, Rejected (AmbiguousName) when several
        resources, applied by hand, claim the name.
        """
        check_name(name)
        body = self._deployed(name) or self._known(name) or self.applied(name)
        if body is None or body["metadata"].get("deletionTimestamp"):
            raise NotFound(f"no pipeline {name!r} in namespace {self._namespace}", code=404)
        return body

    def find_fresh(self, name: str) -> dict[str, Any] | None:
        """Return the resource as it is now, also one that is being deleted; None where there is none.

        Raises Rejected as `find` does.
        """
        return self._deployed(name) or self.applied(name)

    def applied(self, name: str) -> dict[str, Any] | None:
        """Return the resource that somebody applied for a pipeline. Raises Rejected (AmbiguousName)."""
        found = self._look().get(name, [])
        if len(found) > 1:
            raise Rejected(
                "AmbiguousName",
                f"{len(found)} IngestionPipelines in namespace {self._namespace} are called {name!r} in OpenMetadata: "
                f"{', '.join(sorted(found))}. Calls carry only this name: give all but one of them another "
                "fullyQualifiedName",
            )
        return self._applied_as(found[0], name) if found else None

    def _deployed(self, name: str) -> dict[str, Any] | None:
        body = self._cluster.get(PIPELINES, self._namespace, resource_name(name))
        return body if body is not None and is_deployed(body) and pipeline_name_of(body) == name else None

    def _known(self, name: str) -> dict[str, Any] | None:
        found = self._remembered.get(name, []) if self._clock.now() < self._until else []
        return self._applied_as(found[0], name) if len(found) == 1 else None

    def _applied_as(self, resource: str, name: str) -> dict[str, Any] | None:
        body = self._cluster.get(PIPELINES, self._namespace, resource)
        return body if body is not None and not is_deployed(body) and pipeline_name_of(body) == name else None

    def _look(self) -> "_Names":
        """Read the names of all pipelines that somebody applied."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for resource, full_name in self._full_names():
            names[_bare_name(resource, full_name)].append(resource)
        self._remembered, self._until = names, self._clock.now() + _REMEMBERED_FOR
        return names

    def _full_names(self) -> list[tuple[str, str | None]]:
        rows = self._cluster.rows(PIPELINES, self._namespace, without=constants.LABEL_DEPLOYED_BY)
        if all(constants.COLUMN_FULL_NAME in row for row in rows):
            return [(row["Name"], row[constants.COLUMN_FULL_NAME]) for row in rows]
        # The definition in the cluster is older than this gateway.
        bodies = self._cluster.list(PIPELINES, self._namespace, {}, without=constants.LABEL_DEPLOYED_BY)
        return [(body["metadata"]["name"], body["spec"].get("fullyQualifiedName")) for body in bodies]


def _bare_name(resource: str, full_name: str | None) -> str:
    return last_part(full_name) if full_name else resource
