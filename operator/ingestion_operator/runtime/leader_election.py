"""Leader election: the holder of a Lease leads, the other replicas are on standby.

The leader renews the Lease, always with the resourceVersion that it read last. A standby replica acquires the Lease
immediately if it was released, else when it has not changed for its leaseDurationSeconds, by the monotonic clock of the
standby. Before that time, a leader that could not renew stops all writes: `may_write` and `fence`. It then tries to
acquire the Lease again, without limit. The process exits only if another replica holds the Lease by then.

The leader creates a deleted Lease again at its next renewal. A standby replica that has seen the leader's Lease waits
for its leaseDurationSeconds before it creates one: until then the leader may write.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError, Conflict, NotFound
from ingestion_operator.k8s.objects import Body
from ingestion_operator.ports import LEASES, Clock, ClusterApi
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.problem_log import ProblemLog
from ingestion_operator.runtime.thread_pool import MonitoredThreadPool

_logger = logging.getLogger(__name__)

_PUBLISH_SECONDS: Final = 0.01
"""Delay after the renew deadline at which the lost leadership is published, never before it."""


class LeadershipLost(Exception):
    """Another replica acquired the Lease of this leader, whose process must exit immediately."""


@dataclass(frozen=True, slots=True)
class ElectionTiming:
    """Durations in seconds, with the meaning and the defaults of client-go."""

    lease_duration: int = 15
    """How long a Lease is valid after its renewal."""
    renew_deadline: float = 10.0
    """How long the leader writes after its last renewal. The rest is for requests that are in progress then."""
    retry_period: float = 2.0
    """Between two renewals, and at most between two attempts."""

    def __post_init__(self) -> None:
        """Raise ValueError unless lease_duration > renew_deadline > retry_period > 0."""
        if not self.lease_duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError(f"{self}: lease_duration > renew_deadline > retry_period > 0 must hold")


@dataclass(frozen=True, slots=True)
class _Observation:
    """The Lease of another replica."""

    version: str
    changed: float
    """When this version was first read."""
    seen: float
    """When it was last read."""
    duration: float


class LeaderElector:
    """One candidate of the election. Any thread may use `may_write`, `term` and fences."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        identity: str,
        clock: Clock,
        *,
        timing: ElectionTiming | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a candidate.

        Args:
            cluster: Must not be fenced by this elector.
            namespace: The release's own namespace, which holds the Lease.
            identity: The name of this replica, unique among running processes.
            clock: The current time, for the Lease.
            timing: Durations of the election.
            monotonic: Monotonic time in seconds.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._timing = timing or ElectionTiming()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        """Held during an attempt, so that `release` waits for one in progress."""
        self._name = f"Lease {namespace}/{constants.LEASE_NAME}"
        self._observed: _Observation | None = None
        self._standby_text = ""
        self._transitions = -1
        """The greatest leaseTransitions that was read or written; the first Lease is created with 0."""
        self._version = ""
        self._renewed = float("-inf")
        self._is_leader = False
        self._is_released = False
        self._term = 0
        self._published = 0
        """The term for which `changed` was last called; 0 if this replica does not lead."""
        self._leads = asyncio.Event()

    @property
    def may_write(self) -> bool:
        """Whether this replica leads and no other can have taken over."""
        return not self._is_released and self._monotonic() - self._renewed < self._timing.renew_deadline

    @property
    def term(self) -> int:
        """The number of acquisitions by any replica: leaseTransitions + 1. 0 before this replica's first one."""
        return self._term

    def fence(self) -> Callable[[], bool]:
        """Return a check for writes outside Kubernetes: whether this replica still leads in the current term."""
        term = self._term
        return lambda: self.may_write and self._term == term

    async def wait_until_leading(self) -> None:
        """Return when this replica leads."""
        await self._leads.wait()

    async def run(
        self,
        *,
        lost: Callable[[], None],
        changed: Callable[[bool], None] = lambda _: None,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        """Acquire the Lease and renew it, until cancelled or released.

        Args:
            lost: Called, before the method returns, when another replica has acquired the Lease of this leader.
            changed: Called with True when this replica starts to lead, also in another term, and with False at the
                renew deadline after its last renewal.
            heartbeat: Called at each attempt.
        """
        loop, log = asyncio.get_running_loop(), ProblemLog(_logger)
        # Its own thread: other work must not delay a renewal.
        threads = MonitoredThreadPool(1, "lease")
        retry = Backoff(self._timing.retry_period, self._timing.retry_period)
        deadline: asyncio.TimerHandle | None = None
        try:
            while not self._is_released:
                heartbeat()
                pause = retry.delay(1)
                try:
                    is_held = await loop.run_in_executor(threads, self.attempt)
                    log.succeeded(f"{self._name} is accessible again")
                    if is_held:
                        pause = self._timing.retry_period
                        if deadline is not None:
                            deadline.cancel()
                        wait = self._timing.renew_deadline - (self._monotonic() - self._renewed)
                        deadline = loop.call_later(wait + _PUBLISH_SECONDS, self._publish, changed)
                except LeadershipLost as error:
                    _logger.error("%s: this process exits", error)  # noqa: TRY400  the text is complete
                    self._publish(changed)
                    lost()
                    return
                except Exception as error:  # noqa: BLE001  no error may end the election
                    log.failed(f"{self._name} was not renewed or acquired", error)
                self._publish(changed)
                await asyncio.sleep(pause)
            self._publish(changed)
        finally:
            if deadline is not None:
                deadline.cancel()
            threads.shutdown(wait=False)

    def attempt(self) -> bool:
        """Acquire or renew the Lease if possible, with up to three calls; return whether this replica holds it.

        Raises:
            LeadershipLost: Another replica acquired the Lease of this leader.
            ClusterError: The outcome is unknown.
        """
        with self._lock:
            if self._is_released:
                return False
            started = self._monotonic()
            if self._is_leader:
                with contextlib.suppress(Conflict, NotFound):
                    # Conflict: the response of a renewal was lost, an annotation changed, or another replica holds it.
                    self._hold(self._write(self._version), started)
                    return True
            with contextlib.suppress(Conflict):  # another replica was faster
                return self._acquire(started)
            return False

    def release(self) -> None:
        """Stop writing and release the Lease, so that no standby has to wait until it expires. Makes a few calls.

        Call it after the last write has ended. If writers do not end, exit without a release.
        """
        self._is_released = True  # before the lock: `may_write` must not wait for an attempt in progress
        with self._lock:
            if not self._is_leader:
                return
            self._is_leader = False
            try:
                try:
                    self._write(self._version, holderIdentity="")
                except Conflict:
                    lease = self._cluster.get(LEASES, self._namespace, constants.LEASE_NAME)
                    if lease is not None and self._is_own_term(lease):
                        self._write(lease["metadata"]["resourceVersion"], holderIdentity="")
            except ClusterError as error:
                _logger.warning("%s was not released: %s", self._name, error)

    def _acquire(self, started: float) -> bool:
        lease = self._cluster.get(LEASES, self._namespace, constants.LEASE_NAME)
        if lease is None:
            return self._create(started)
        spec, version = _spec(lease), lease["metadata"]["resourceVersion"]
        self._transitions = max(self._transitions, _number(spec.get("leaseTransitions")))
        if self._is_own_term(lease):
            self._hold(self._write(version), started)
            return True
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity):  # else it was released, or an earlier container of this pod held it
            if self._is_leader:
                self._is_leader, self._renewed = False, float("-inf")
                raise LeadershipLost(f"{self._name} is held by {holder}")
            if not self._has_expired(spec, version, started):
                self._log_standby(f"Standby: {self._name} is held by {holder}")
                return False
        self._lead(self._write(version, leaseTransitions=self._transitions + 1), started)
        return True

    def _create(self, started: float) -> bool:
        duration = self._timing.lease_duration
        if self._is_leader and self._observed is None and started - self._renewed >= duration:
            self._observed = _Observation(
                "", started, started, duration
            )  # another replica may have led in the meantime
        seen = self._observed
        if seen is not None and started - seen.seen < seen.duration:
            self._log_standby(f"Standby: {self._name} was deleted, and its holder may lead until it expires")
            return False
        body = self._body()
        body["spec"]["leaseTransitions"] = self._transitions + 1
        self._lead(self._cluster.create(LEASES, body, field_manager=constants.FIELD_MANAGER), started)
        return True

    def _is_own_term(self, lease: Body) -> bool:
        """Return whether no replica has acquired the Lease since this one did."""
        spec = _spec(lease)
        is_held = spec.get("holderIdentity") == self._identity
        return is_held and _number(spec.get("leaseTransitions")) == self._term - 1

    def _has_expired(self, spec: Body, version: str, now: float) -> bool:
        duration = _number(spec.get("leaseDurationSeconds")) or self._timing.lease_duration
        before = self._observed
        changed = now if before is None or before.version != version else before.changed
        self._observed = _Observation(version, changed, now, duration)
        return now - changed >= duration

    def _log_standby(self, text: str) -> None:
        if self._standby_text != text:
            self._standby_text = text
            _logger.info("%s", text)

    def _lead(self, written: Body, started: float) -> None:
        self._transitions = _number(_spec(written).get("leaseTransitions"))
        self._term = self._transitions + 1  # before `_hold`, so that fences of an earlier term stay closed
        self._is_leader, self._observed, self._standby_text = True, None, ""
        self._hold(written, started)

    def _hold(self, written: Body, started: float) -> None:
        # The time before the call: other replicas count from the later time at which the API server wrote the Lease.
        self._version, self._renewed = written["metadata"]["resourceVersion"], started

    def _publish(self, changed: Callable[[bool], None]) -> None:
        """Log and publish whether this replica leads, and in which term, if that changed."""
        term = self._term if self.may_write else 0
        if term == self._published:
            return
        self._published = term
        if term:
            _logger.info("This replica leads: it holds %s in term %d", self._name, term)
            self._leads.set()
        else:
            if not self._is_released:
                _logger.warning("This replica stops writing: %s was lost or not renewed in time", self._name)
            self._leads.clear()
        changed(term > 0)

    def _write(self, version: str, **changes: Any) -> Body:
        spec = self._body()["spec"] | changes
        if "leaseTransitions" not in changes:
            del spec["acquireTime"]
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        return self._cluster.merge_patch(
            LEASES, self._namespace, constants.LEASE_NAME, patch, field_manager=constants.FIELD_MANAGER
        )

    def _body(self) -> Body:
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
                "leaseDurationSeconds": self._timing.lease_duration,
                "acquireTime": now,
                "renewTime": now,
            },
        }


def exit_immediately() -> None:
    """Exit with code 1, without waiting for anything."""
    # Writing threads need no wait: the fence stops them, and the next leader is active.
    os._exit(1)


def replica_identity() -> str:
    """Return a name that is unique among running processes: the containers of a pod run one after the other."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def _spec(lease: Body) -> Body:
    return lease.get("spec") or {}


def _number(value: Any) -> int:
    """Return a positive whole number; 0 for anything else that a Lease may hold."""
    return value if isinstance(value, int) and value > 0 else 0
