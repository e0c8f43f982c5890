"""Checks whether pipelines can run, and what is missing if not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import ClusterError, Forbidden, NotFound
from ingestion_operator.k8s.timestamps import parse_timestamp
from ingestion_operator.ports import CRONJOBS, JOBS, LEASES, NODES, PIPELINES, PODS, SECRETS, Clock, ClusterReader, Kind

PERMISSIONS: Final[tuple[tuple[Kind, str, tuple[str, ...]], ...]] = (
    (PIPELINES, "", ("get", "list", "watch", "create", "patch", "delete")),
    (CRONJOBS, "", ("list", "watch")),
    (JOBS, "", ("get", "list", "watch", "create", "patch")),
    (PODS, "", ("list", "watch")),
    (PODS, "log", ("get",)),
    (SECRETS, "", ("get", "create", "patch", "delete")),
    (LEASES, "", ("get",)),
)
"""The permissions that the client and its cache need: the Role of its service account. Only a cache needs `watch`."""

_DEFAULT_LEASE_SECONDS: Final = 30
_ADDRESSES_SHOWN: Final = 5


class Health:
    """Checks everything that the client needs."""

    def __init__(
        self,
        cluster: ClusterReader,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        *,
        watches: bool = False,
    ) -> None:
        """Set `watches` if there is a cache, which needs more permissions."""
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._watches = watches

    def problems(self) -> list[str]:
        """Return the problems, one sentence each; empty if pipelines can run."""
        try:
            # No object has this label: the response is short for any number of pipelines.
            self._cluster.list(PIPELINES, self._namespace, {"probe": "none"})
        except NotFound:
            return [f"The cluster does not serve {constants.PLURAL}.{constants.GROUP}: apply the CRD"]
        except Forbidden:
            pass  # reported below with the other permissions
        except ClusterError as error:
            return [f"The Kubernetes API cannot be reached: {error}"]
        try:
            return [*self._missing_permissions(), *self._operator_problems()]
        except ClusterError as error:
            return [f"The Kubernetes API cannot be reached: {error}"]

    def host_ip(self) -> str:
        """Return the source address of runs from the settings, or else of the nodes, or else "unknown"."""
        if configured := self._settings().pipeline_service.host_ip:
            return configured
        try:
            nodes = self._cluster.list(NODES, "", {})
        except ClusterError:
            return "unknown"  # the permission to list nodes is optional
        addresses = sorted({address for node in nodes for address in _external_addresses(node)})
        return ", ".join(addresses[:_ADDRESSES_SHOWN]) or "unknown"

    def _missing_permissions(self) -> list[str]:
        """Return the missing permissions, without the Lease: its permission is for one name, and the read checks it."""
        return [
            f"The permission to {verb} {kind.plural}{f'/{subresource}' if subresource else ''} in namespace "
            f"{self._namespace} is missing"
            for kind, subresource, verbs in PERMISSIONS
            for verb in verbs
            if kind != LEASES and (verb != "watch" or self._watches)
            if not self._cluster.can_i(verb, kind, self._namespace, subresource=subresource)
        ]

    def _operator_problems(self) -> list[str]:
        namespace = self._settings().pipeline_service.operator_namespace or self._namespace
        name = f"{namespace}/{constants.LEASE_NAME}"
        try:
            lease = self._cluster.get(LEASES, namespace, constants.LEASE_NAME)
        except Forbidden:
            return [f"Lease {name} cannot be read (HTTP 403), so the operator may be down"]
        if lease is None:
            return [f"The operator has not run yet: Lease {name} does not exist. Scheduled runs start, others wait"]
        spec = lease.get("spec", {})
        renewed = parse_timestamp(spec.get("renewTime")) or datetime.min.replace(tzinfo=UTC)
        bound = timedelta(seconds=spec.get("leaseDurationSeconds", _DEFAULT_LEASE_SECONDS))
        if self._clock.now() - renewed > bound:
            last = spec.get("renewTime", "no time")
            since = f"Lease {name} was renewed at {last}, more than {bound.seconds} s ago"
            return [f"The operator is down or stuck: {since}. Scheduled runs start, others wait"]
        return []


def _external_addresses(node: dict[str, Any]) -> list[str]:
    addresses = node.get("status", {}).get("addresses", [])
    return [str(address["address"]) for address in addresses if address.get("type") == "ExternalIP"]
