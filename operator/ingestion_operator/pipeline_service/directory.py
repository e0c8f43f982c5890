"""Finding the custom resource behind a pipeline's bare name, which is all that OpenMetadata sends.

A pipeline that was deployed has a resource whose name follows from the pipeline's: one read. Others, applied by
hand, may be called anything; they are told by the last part of their fully qualified name, among those alone
that no deploy made (the API server sorts out the others by label). Where a name was found is remembered for a
while, and checked at each use.
"""

import threading
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.pipeline_service.names import check_name, last_part, resource_name
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi

_REMEMBERED_FOR: Final = timedelta(seconds=30)
"""A second resource for the same pipeline is noticed after this time."""


def is_deployed(body: dict[str, Any]) -> bool:
    """Tell whether a pipeline was made by a deploy rather than applied by somebody."""
    return bool(body["metadata"].get("labels", {}).get(constants.LABEL_DEPLOYED_BY) == constants.DEPLOYED_BY)


def pipeline_name_of(body: dict[str, Any]) -> str:
    """Return the bare name in OpenMetadata of the pipeline that a resource stands for."""
    annotations = body["metadata"].get("annotations", {})
    if is_deployed(body) and constants.ANNOTATION_ENTITY_NAME in annotations:
        return str(annotations[constants.ANNOTATION_ENTITY_NAME])
    fully_qualified_name = body["spec"].get("fullyQualifiedName")
    return last_part(fully_qualified_name) if fully_qualified_name else str(body["metadata"]["name"])


def manager_of(body: dict[str, Any]) -> str:
    """Return who wrote a pipeline's spec last, as the API server keeps it."""
    entries = [entry for entry in body["metadata"].get("managedFields", []) if "f:spec" in entry.get("fieldsV1", {})]
    entries.sort(key=lambda entry: str(entry.get("time", "")))
    return str(entries[-1].get("manager")) if entries else "somebody else"


class Directory:
    """The pipelines of one namespace by their bare names."""

    def __init__(self, cluster: ClusterApi, namespace: str, clock: Clock) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        self._remembered: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

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
        found = [
            body
            for body in self._cluster.list(PIPELINES, self._namespace, {}, without=constants.LABEL_DEPLOYED_BY)
            if pipeline_name_of(body) == name
        ]
        if len(found) > 1:
            names = ", ".join(sorted(body["metadata"]["name"] for body in found))
            raise Rejected(
                "AmbiguousName",
                f"{len(found)} IngestionPipelines in namespace {self._namespace} are called {name!r} in OpenMetadata: "
                f"{names}. Calls carry only this name: give all but one of them another fullyQualifiedName",
            )
        with self._lock:
            self._remembered.pop(name, None)
            if found:
                self._remembered[name] = (found[0]["metadata"]["name"], self._clock.now() + _REMEMBERED_FOR)
        return found[0] if found else None

    def _deployed(self, name: str) -> dict[str, Any] | None:
        body = self._cluster.get(PIPELINES, self._namespace, resource_name(name))
        return body if body is not None and is_deployed(body) and pipeline_name_of(body) == name else None

    def _known(self, name: str) -> dict[str, Any] | None:
        with self._lock:
            resource, until = self._remembered.get(name, ("", self._clock.now()))
        if until <= self._clock.now():
            return None
        body = self._cluster.get(PIPELINES, self._namespace, resource)
        return body if body is not None and not is_deployed(body) and pipeline_name_of(body) == name else None
