"""Interfaces that the services need from outside. `adapters` implements them; tests use fakes."""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from ingestion_operator import constants
from ingestion_operator.api.pipeline import SslVerification
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.k8s.objects import Body
from ingestion_operator.runs.jobs import Job


@dataclass(frozen=True)
class Kind:
    """A kind of Kubernetes object, with the plural of its URL."""

    api_version: str
    kind: str
    plural: str


PIPELINES: Final = Kind(constants.API_VERSION, constants.KIND, constants.PLURAL)
CRONJOBS: Final = Kind("batch/v1", "CronJob", "cronjobs")
JOBS: Final = Kind("batch/v1", "Job", "jobs")
PODS: Final = Kind("v1", "Pod", "pods")
SECRETS: Final = Kind("v1", "Secret", "secrets")
EVENTS: Final = Kind("v1", "Event", "events")
LEASES: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
NODES: Final = Kind("v1", "Node", "nodes")
"""Cluster-scoped: pass an empty namespace."""

Propagation = Literal["Background", "Foreground"]


class ClusterReader(Protocol):
    """Read access to Kubernetes objects: plain dicts, each with its apiVersion and kind, items of a list included.

    Every call is bounded in time and raises the ClusterErrors of `errors`. An absent object is None, not an error.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return the object, or None."""

    def list(
        self,
        kind: Kind,
        namespace: str,
        labels: Mapping[str, str | Collection[str]],
        *,
        exclude_label: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[Body]:
        """Return the matching objects, in any order.

        Args:
            kind: The kind of the objects.
            namespace: Their namespace; empty for all namespaces.
            labels: Labels that an object must have, each with its value or a collection of allowed values.
            exclude_label: Key of a label that an object must not have.
            fields: Field selector, by path, such as involvedObject.uid. The API server supports few paths per kind.
        """

    def can_i(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        """Return whether this program has a permission."""


class ClusterWriter(Protocol):
    """Write access to Kubernetes objects as plain dicts.

    Every call is bounded in time and raises the ClusterErrors of `errors`. Writes return the object as stored.
    """

    def create(self, kind: Kind, body: Body, *, field_manager: str = "") -> Body:
        """Create the object. Raises Conflict if the name is taken."""

    def apply(
        self,
        kind: Kind,
        body: Body,
        *,
        field_manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Body:
        """Apply the object server-side, with force.

        Args:
            kind: The kind of the object.
            body: The desired fields.
            field_manager: The owner of these fields.
            subresource: `status` for the status.
            dry_run: Let the API server validate the object and store nothing.

        Raises:
            Conflict: The uid or resourceVersion in `body` is not the live one.
        """

    def replace_spec(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        spec: Body,
        *,
        uid: str,
        annotations: Mapping[str, str],
        field_manager: str,
    ) -> Body:
        """Replace the whole spec and set annotations, by JSON patch: fields that other clients added are removed.

        The object must have annotations.

        Raises:
            NotFound: The object does not exist.
            Conflict: `uid` is not the live one.
        """

    def merge_patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Body,
        *,
        subresource: str = "",
        field_manager: str = "",
    ) -> Body:
        """Apply a JSON merge patch.

        Raises:
            NotFound: The object does not exist.
            Conflict: The uid or resourceVersion in `patch` is not the live one.
        """

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation,
        uid: str = "",
        resource_version: str = "",
    ) -> None:
        """Request the deletion of an object; an absent object is not an error.

        Raises:
            Conflict: `uid` or `resource_version` is not the live one.
        """


class ClusterApi(ClusterReader, ClusterWriter, Protocol):
    """Read and write access to Kubernetes objects."""


class PodLogs(Protocol):
    """Logs of pods.

    Each call raises NotFound when the pod is gone, Invalid while its container has not started, else Unavailable.
    """

    def read(
        self, namespace: str, pod: str, *, since: datetime | None = None, timestamps: bool = False
    ) -> Iterator[bytes]:
        """Yield the log of the runner's container up to now, in chunks of any size, never all at once.

        Args:
            namespace: The namespace of the pod.
            pod: The name of the pod.
            since: Leave out older lines, to the second.
            timestamps: Let each line begin with its time.
        """

    def tail(self, namespace: str, pod: str, lines: int) -> Iterator[bytes]:
        """Yield the last lines of the log of the runner's container, in chunks of any size."""


class LogFollower(Protocol):
    """Logs of pods while they are written, in the event loop."""

    def stream(self, namespace: str, pod: str, *, since: datetime | None, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield a log in chunks of any size; each line begins with its time.

        An end without an error means that the log is complete.

        Args:
            namespace: The namespace of the pod.
            pod: The name of the pod.
            since: Leave out older lines, to the second.
            follow: Continue until the container ends.

        Raises:
            NotFound: The pod is gone.
            Invalid: The container has not started.
            Unavailable: The API server failed, or no data came for minutes: the connection may be dead.
        """


class LogTails(Protocol):
    """The last lines of runs' logs, from the pod or from the archive."""

    def tail(self, run: Run, namespace: str, pipeline: str) -> str:
        """Return the last lines of a run's last attempt; empty if there are none. Never raises."""


class LogStore(Protocol):
    """Named objects in a folder or a bucket; keys are relative, with `/` between their parts.

    Every call is bounded in time and raises StoreError.
    """

    def put(self, key: str, data: bytes) -> None:
        """Write an object atomically."""

    def get(self, key: str) -> bytes:
        """Return an object. Raises NotFound."""

    def list(self, prefix: str) -> Iterator["StoredObject"]:
        """Yield the objects below a folder, in any order, fetched page by page."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; an absent object is not an error."""


@dataclass(frozen=True)
class StoredObject:
    """An object's metadata, as a listing returns it."""

    key: str
    size: int
    modified: datetime


class StatusSink(Protocol):
    """OpenMetadata's records of runs (PipelineStatus), called rows, as plain dicts.

    Every call is bounded in time and raises Unavailable, Forbidden (the token), NotFound or Invalid.
    """

    def read(self, server: "ServerAccess", fully_qualified_name: str, run_id: str) -> dict[str, Any] | None:
        """Return the row of a run; None if the server has none."""

    def write(self, server: "ServerAccess", fully_qualified_name: str, row: dict[str, Any]) -> None:
        """Create or replace the row of a run."""


@dataclass(frozen=True)
class ServerAccess:
    """Address and credentials of one OpenMetadata server."""

    host_port: str
    """Base URL of the API, such as http://openmetadata:8585/api."""
    verify_ssl: SslVerification
    token: str | None = field(default=None, repr=False)


class StatusObserver(Protocol):
    """Receives every reconciliation of a pipeline, for metrics and traces. Called by several threads."""

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        """Take the status of the previous call and the current one, both with all runs. Never raises."""


HandoverResult = Literal["taken", "refused", "unknown"]
"""taken: the pod runs the automation to its end. refused: it will not start it. unknown: it may have started it."""


class WarmPodConnection(Protocol):
    """Connection to a warm pod, which waits for an automation."""

    def credentials(self, pod_name: str) -> dict[str, str]:
        """Return the data of a new pod's Secret, by key, generated for this pod alone."""

    def send(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandoverResult:
        """Send the document to the pod at an IP address. Bounded in time, never raises."""


class Clock(Protocol):
    """The current time."""

    def now(self) -> datetime:
        """Return the current time in UTC, timezone-aware."""
