"""What the services need from outside; adapters in `kube` provide it, tests bring their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from ingestion_operator import constants


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


class ClusterApi(Protocol):
    """Kubernetes objects as plain dicts.

    Every call is bounded in time and raises the ClusterErrors of `errors`; absence is None, not an error.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the object or None."""

    def list(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the objects that carry all the labels, in any order."""

    def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Create the object. Raises Conflict if the name is taken."""

    def apply(self, kind: Kind, body: dict[str, Any], *, field_manager: str, subresource: str = "") -> dict[str, Any]:
        """Server-side apply with force. Raises Conflict if the body's uid or resourceVersion is not the live one."""

    def merge_patch(
        self, kind: Kind, namespace: str, name: str, patch: dict[str, Any], *, subresource: str = ""
    ) -> dict[str, Any]:
        """Apply a JSON merge patch. Raises NotFound."""


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the moment, aware of its zone (UTC)."""
