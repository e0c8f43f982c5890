"""What the services need from outside; adapters in `kube` provide it, tests bring their own."""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from ingestion_operator import constants
from ingestion_operator.api.pipeline import SslVerification
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.runs.jobs import Job


@dataclass(frozen=True)
class Kind:
    """A kind of object, as its URL needs it."""

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
"""Not in any namespace: ask with an empty one."""

Propagation = Literal["Background", "Foreground"]


class ClusterApi(Protocol):
    """Kubernetes objects as plain dicts, each with its apiVersion and kind, listed ones too.

    Every call is bounded in time and raises the ClusterErrors of `errors`; absence is None, not an error.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the object or None."""

    def list(
        self,
        kind: Kind,
        namespace: str,
        labels: Mapping[str, str | Collection[str]],
        *,
        without: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects that carry all the labels, and not the label whose key is `without`, in any order.

        A label may have any of several values. An empty `namespace` means all of them.

        `fields` are values by path, such as involvedObject.uid; the API server knows few for each kind.
        """

    def create(self, kind: Kind, body: dict[str, Any], *, field_manager: str = "") -> dict[str, Any]:
        """Create the object. Raises Conflict if the name is taken."""

    def apply(
        self,
        kind: Kind,
        body: dict[str, Any],
        *,
        field_manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply with force. Raises Conflict if the body's uid or resourceVersion is not the live one.

        With `dry_run` the API server judges the object and stores nothing.
        """

    def replace_spec(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        spec: dict[str, Any],
        *,
        uid: str,
        annotations: Mapping[str, str],
        field_manager: str,
    ) -> dict[str, Any]:
        """Replace the whole spec and set annotations, by JSON patch: what other clients added to the spec goes.

        The object must have annotations. Raises NotFound; Conflict if the uid is not the live one.
        """

    def merge_patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str = "",
        field_manager: str = "",
    ) -> dict[str, Any]:
        """Apply a JSON merge patch. Raises NotFound; Conflict if its uid or resourceVersion is not the live one."""

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
        """Ask for the object's end; one that is not there is no error. Raises Conflict as `merge_patch` does."""

    def may(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        """Return whether this program has a permission."""


class PodLogs(Protocol):
    """Logs of pods.

    Each call raises NotFound when the pod is gone, Invalid while its container has not started, Unavailable.
    """

    def read(
        self, namespace: str, pod: str, *, since: datetime | None = None, timestamps: bool = False
    ) -> Iterator[bytes]:
        """Yield what the runner's container has written so far, in pieces of any size, never all at once.

        `since` leaves out lines that are older, to the second; with `timestamps` each line begins with its time.
        """

    def tail(self, namespace: str, pod: str, lines: int) -> Iterator[bytes]:
        """Yield the last lines of what the runner's container has written, in pieces of any size."""


class LogFollower(Protocol):
    """Logs of pods while they are written, in the event loop."""

    def stream(self, namespace: str, pod: str, *, since: datetime | None, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield a log in pieces of any size, each line with its time before it, from `since` on, to the second.

        With `follow` it goes on until the container ends. An end without an error means that nothing is left.
        Raises NotFound when the pod is gone, Invalid while its container has not started, Unavailable also when
        nothing has come for minutes: a connection may be dead without a sign, so it must be made anew.
        """


class LogTails(Protocol):
    """The ends of runs' logs, wherever they are kept."""

    def tail(self, run: Run, namespace: str, pipeline: str) -> str:
        """Return the last lines of a run's last attempt; empty where nothing is left of them. Raises nothing."""


class LogStore(Protocol):
    """Named objects in a folder or a bucket; keys are relative, with `/` between their parts.

    Every call is bounded in time and raises StoreError.
    """

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all."""

    def get(self, key: str) -> bytes:
        """Return an object. Raises NotFound."""

    def list(self, prefix: str) -> Iterator["StoredObject"]:
        """Yield the objects below a folder, in any order, page by page."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error."""


@dataclass(frozen=True)
class StoredObject:
    """What a store tells of an object without reading it."""

    key: str
    size: int
    modified: datetime


class StatusSink(Protocol):
    """OpenMetadata's rows of runs (PipelineStatus), as plain dicts.

    Every call is bounded in time and raises the errors of `errors`: Unavailable, Forbidden (the token), NotFound,
    Invalid.
    """

    def read(self, server: "ServerAccess", fully_qualified_name: str, run_id: str) -> dict[str, Any] | None:
        """Return the row of a run; None where the server has none."""

    def write(self, server: "ServerAccess", fully_qualified_name: str, row: dict[str, Any]) -> None:
        """Create or replace the row of a run."""


@dataclass(frozen=True)
class ServerAccess:
    """How to talk to one OpenMetadata server."""

    host_port: str
    """Base URL of the API, such as http://openmetadata:8585/api."""
    verify_ssl: SslVerification
    token: str | None = field(default=None, repr=False)


class StatusObserver(Protocol):
    """Is called for every reconciliation of a pipeline; for metrics and traces. Called by several threads."""

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        """Take notice of what a status was when this was called last, and is; both with all runs. Raises nothing."""


HandedOver = Literal["taken", "refused", "unknown"]
"""The pod will see to the automation's end; it has not been told to begin and so will not; it may have begun."""


class HandOver(Protocol):
    """The way to a pod that waits for an automation."""

    def credentials(self, pod_name: str) -> dict[str, str]:
        """Return what a new pod's Secret must hold, by key: made for this pod alone."""

    def give(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandedOver:
        """Give the document to the pod at an IP address. Bounded in time, raises nothing."""


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the moment, aware of its zone (UTC)."""
