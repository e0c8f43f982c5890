"""Which of several replicas acts: the one whose name stands in a Lease. All others wait for it, and do nothing.

The holder renews the Lease, and writes it only as it last saw it (resourceVersion). Another takes it over once it
has not changed for as long as it says, by its own clock, or at once if it was given back. Long before that a
holder that could not renew stops writing to the cluster: `may_write`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError, Conflict
from ingestion_operator.ports import LEASES, Clock, ClusterApi

_logger = logging.getLogger(__name__)

DURATION_SECONDS: Final = 15
"""How long a Lease counts after its renewal."""

RENEW_SECONDS: Final = 5.0
TRUST_SECONDS: Final = 10.0
"""How long after the last renewal the holder writes. The rest is for writes that are under way then."""

RETRY_SECONDS: Final = 1.0


class LeadershipLost(Exception):
    """Another replica holds the Lease: this one must end at once."""


@dataclass(frozen=True)
class _Sight:
    """A Lease, and since when it has been what it is."""

    version: str
    since: float


class Leadership:
    """One replica's part. `may_write` is for all threads, the rest for one caller at a time."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        identity: str,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cluster` must bound its calls to less than TRUST_SECONDS."""
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._monotonic = monotonic
        self._seen: _Sight | None = None
        self._version = ""
        self._renewed = float("-inf")

    @property
    def may_write(self) -> bool:
        """Tell whether no other can have taken over yet."""
        return self._monotonic() - self._renewed < TRUST_SECONDS

    def attempt(self) -> bool:
        """Take the Lease if it is free; tell whether it is held now. Raises ClusterError."""
        begun = self._monotonic()
        lease = self._cluster.get(LEASES, self._namespace, constants.LEASE_NAME)
        try:
            if lease is None:
                written = self._cluster.create(LEASES, self._body(), field_manager=constants.FIELD_MANAGER)
            elif self._is_free(lease, begun):
                transitions = lease.get("spec", {}).get("leaseTransitions", 0) + 1
                written = self._write(lease["metadata"]["resourceVersion"], leaseTransitions=transitions)
            else:
                return False
        except Conflict:
            return False  # another one was faster
        self._hold(written, begun)
        return True

    def renew(self) -> None:
        """Renew the Lease. Raises LeadershipLost where another one holds it, ClusterError where nobody can tell."""
        begun = self._monotonic()
        try:
            self._hold(self._write(self._version), begun)
        except Conflict:
            # A renewal that was made without an answer, somebody's annotation, or another holder.
            lease = self._cluster.get(LEASES, self._namespace, constants.LEASE_NAME)
            if lease is None or lease.get("spec", {}).get("holderIdentity") != self._identity:
                self._renewed = float("-inf")
                holder = lease["spec"].get("holderIdentity") if lease else "nobody"
                raise LeadershipLost(f"Lease {self._namespace}/{constants.LEASE_NAME} is held by {holder}") from None
            self._version = lease["metadata"]["resourceVersion"]
            self._hold(self._write(self._version), begun)

    def release(self) -> None:
        """Give the Lease back, after the last write: another replica need not wait until it has run out."""
        self._renewed = float("-inf")
        try:
            self._write(self._version, holderIdentity="")
        except ClusterError as error:
            _logger.warning("The Lease was not given back: %s", error)

    def _hold(self, written: dict[str, Any], begun: float) -> None:
        # From before the call: others count from when the API server wrote it, which is later.
        self._version, self._renewed = written["metadata"]["resourceVersion"], begun

    def _is_free(self, lease: dict[str, Any], now: float) -> bool:
        spec, version = lease.get("spec", {}), lease["metadata"]["resourceVersion"]
        if spec.get("holderIdentity", "") in ("", self._identity):
            return True  # given back, or ours: a container of this very pod that has died
        if self._seen is None or self._seen.version != version:
            self._seen = _Sight(version, now)
        return bool(now - self._seen.since >= spec.get("leaseDurationSeconds", DURATION_SECONDS))

    def _write(self, version: str, **changes: Any) -> dict[str, Any]:
        spec = self._body()["spec"] | changes
        if "leaseTransitions" not in changes:
            del spec["acquireTime"]
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        return self._cluster.merge_patch(
            LEASES, self._namespace, constants.LEASE_NAME, patch, field_manager=constants.FIELD_MANAGER
        )

    def _body(self) -> dict[str, Any]:
        now = f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%f}Z"
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {
                "name": constants.LEASE_NAME,
                "namespace": self._namespace,
                "labels": {constants.LABEL_MANAGED_BY: constants.MANAGED_BY},
            },
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION_SECONDS,
                "acquireTime": now,
                "renewTime": now,
            },
        }
