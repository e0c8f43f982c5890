"""Whether pipelines can be run here, and if not, what exactly is missing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.types import parse_timestamp
from ingestion_operator.errors import ClusterError, Forbidden, NotFound
from ingestion_operator.ports import CRONJOBS, JOBS, LEASES, NODES, PIPELINES, PODS, SECRETS, Clock, ClusterApi, Kind

PERMISSIONS: Final[tuple[tuple[Kind, str, tuple[str, ...]], ...]] = (
    (PIPELINES, "", ("get", "list", "watch", "create", "patch", "delete")),
    (CRONJOBS, "", ("list", "watch")),
    (JOBS, "", ("get", "list", "watch", "create", "patch")),
    (PODS, "", ("list", "watch")),
    (PODS, "log", ("get",)),
    (SECRETS, "", ("get", "create", "patch", "delete")),
    (LEASES, "", ("get",)),
)
"""What the client and its cache do, and no more: the Role of whoever runs it. Without a cache nothing is watched."""

_DEFAULT_LEASE_SECONDS: Final = 30
_ADDRESSES_SHOWN: Final = 5


class Health:
    """Checks everything that the client needs."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        *,
        watches: bool = False,
    ) -> None:
        """`watches` says whether there is a cache, which needs more permissions."""
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._watches = watches

    def problems(self) -> list[str]:
        """Return what is missing, one sentence each; empty when all is well."""
        try:
            # A label that nothing has: the answer is short, however many pipelines there are.
            self._cluster.list(PIPELINES, self._namespace, {"probe": "none"})
        except NotFound:
            return [f"The cluster does not serve {constants.PLURAL}.{constants.GROUP}: apply its definition"]
        except Forbidden:
            pass  # named below with all the others
        except ClusterError as error:
            return [f"The Kubernetes API cannot be reached: {error}"]
        try:
            return [*self._missing_permissions(), *self._operator_problems()]
        except ClusterError as error:
            return [f"The Kubernetes API cannot be reached: {error}"]

    def host_ip(self) -> str:
        """Return the address that runs come from: as the settings say, else the nodes' own, else "unknown"."""
        if configured := self._settings().pipeline_service.host_ip:
            return configured
        try:
            nodes = self._cluster.list(NODES, "", {})
        except ClusterError:
            return "unknown"  # the right to list nodes is not to be had in every cluster
        addresses = sorted({address for node in nodes for address in _external_addresses(node)})
        return ", ".join(addresses[:_ADDRESSES_SHOWN]) or "unknown"

    def _missing_permissions(self) -> list[str]:
        """Name what is not granted, but for the Lease: that right is for one name, and reading it shows it."""
        return [
            f"The permission to {verb} {kind.plural}{f'/{subresource}' if subresource else ''} in namespace "
            f"{self._namespace} is missing"
            for kind, subresource, verbs in PERMISSIONS
            for verb in verbs
            if kind != LEASES and (verb != "watch" or self._watches)
            if not self._cluster.may(verb, kind, self._namespace, subresource=subresource)
        ]

    def _operator_problems(self) -> list[str]:
        namespace = self._settings().pipeline_service.operator_namespace or self._namespace
        name = f"{namespace}/{constants.LEASE_NAME}"
        try:
            lease = self._cluster.get(LEASES, namespace, constants.LEASE_NAME)
        except Forbidden:
            return [f"Lease {name} may not be read, so the operator may be down"]
        if lease is None:
            return [f"The operator has not run yet: there is no Lease {name}. Scheduled runs start, others wait"]
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
