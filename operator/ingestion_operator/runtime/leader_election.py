"""Which of several replicas leads: the one whose name stands in a Lease. The others stand by.

The leader renews the Lease and writes it only as it last saw it (resourceVersion). Another replica takes it once it
has not changed for as long as it says, by the monotonic clock of that replica, or at once if it was released. Before
that a leader that could not renew stops writing anywhere: `may_write` and `fence`. It then tries to acquire the Lease
again, in place and without end; only a Lease that another replica holds by then ends the process.

A deleted Lease is created again by its leader, at the next renewal. A replica that has seen the leader's Lease waits
for as long as that Lease said before it creates one: until then the leader may write.
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
from ingestion_operator.ports import LEASES, Clock, ClusterApi
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.problem_log import ProblemLog
from ingestion_operator.runtime.thread_pool import WatchedThreads

_logger = logging.getLogger(__name__)

_PUBLISH_SECONDS: Final = 0.01
"""So long after the renew deadline the change is published: never before it."""


class LeadershipLost(Exception):
    """Another replica holds the Lease that this one led by: its process must end at once."""


@dataclass(frozen=True, slots=True)
class ElectionTiming:
    """Seconds, with the meaning and the usual values of client-go's."""

    lease_duration: int = 15
    """How long a Lease counts after its renewal."""
    renew_deadline: float = 10.0
    """How long after its last renewal the leader writes. The rest is for requests that are in progress then."""
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
    """When this version was seen first."""
    seen: float
    """When it was seen last."""
    duration: float


class LeaderElector:
    """One replica's part in the election. `may_write`, `term` and fences are for all threads."""

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
        """Elect by the Lease in the release's own `namespace`. `cluster` must not be fenced by this elector."""
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._timing = timing or ElectionTiming()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        """Held during an attempt: `release` comes after one that is in progress."""
        self._name = f"Lease {namespace}/{constants.LEASE_NAME}"
        self._observed: _Observation | None = None
        self._standby_text = ""
        self._transitions = -1
        """The greatest number of transitions that was seen or written; the first Lease is created with 0."""
        self._version = ""
        self._renewed = float("-inf")
        self._is_leader = False
        self._is_released = False
        self._term = 0
        self._published = 0
        """The term in which this replica leads, as `changed` was called for it; 0 while it does not lead."""
        self._leads = asyncio.Event()

    @property
    def may_write(self) -> bool:
        """Whether this replica leads and no other can have taken over yet."""
        return not self._is_released and self._monotonic() - self._renewed < self._timing.renew_deadline

    @property
    def term(self) -> int:
        """A number that grows with each acquisition by any replica: leaseTransitions + 1. 0 before the first one."""
        return self._term

    def fence(self) -> Callable[[], bool]:
        """Return a check for writes outside of Kubernetes: whether this replica still leads in the term of now."""
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
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Acquire the Lease and renew it, until cancelled or released.

        `changed` is called with True when this replica begins to lead, also in another term, and with False at the
        renew deadline after its last renewal. `lost` is called, and the method returns, once another replica holds the
        Lease that this one led by. `beat` is called at each attempt.
        """
        loop, log = asyncio.get_running_loop(), ProblemLog(_logger)
        # A thread of its own: work of others must not delay a renewal. And no task, which kopf would cancel at its end.
        threads = WatchedThreads(1, "lease")
        retry = Backoff(self._timing.retry_period, self._timing.retry_period)
        deadline: asyncio.TimerHandle | None = None
        try:
            while not self._is_released:
                beat()
                pause = retry.delay(1)
                try:
                    is_held = await loop.run_in_executor(threads, self.attempt)
                    log.succeeded(f"{self._name} can be read and written again")
                    if is_held:
                        pause = self._timing.retry_period
                        if deadline is not None:
                            deadline.cancel()
                        wait = self._timing.renew_deadline - (self._monotonic() - self._renewed)
                        deadline = loop.call_later(wait + _PUBLISH_SECONDS, self._publish, changed)
                except LeadershipLost as error:
                    _logger.error("%s: this process ends at once", error)  # noqa: TRY400  the text says it all
                    self._publish(changed)
                    lost()
                    return
                except Exception as error:  # noqa: BLE001  whatever it was, the election goes on
                    log.failed(f"{self._name} was not renewed or acquired", error)
                self._publish(changed)
                await asyncio.sleep(pause)
            self._publish(changed)
        finally:
            if deadline is not None:
                deadline.cancel()
            threads.shutdown(wait=False)

    def attempt(self) -> bool:
        """Acquire or renew the Lease if possible; return whether that was done. Makes up to three calls.

        Raises LeadershipLost, and ClusterError where the outcome is unknown.
        """
        with self._lock:
            if self._is_released:
                return False
            begun = self._monotonic()
            if self._is_leader:
                with contextlib.suppress(Conflict, NotFound):
                    # Conflict: a renewal whose answer was lost, an annotation, or another holder.
                    self._hold(self._write(self._version), begun)
                    return True
            with contextlib.suppress(Conflict):  # another replica was faster
                return self._acquire(begun)
            return False

    def release(self) -> None:
        """Stop writing and give the Lease back, so that no replica has to wait for its end. Blocks for a few calls.

        Call it after the last write has ended; where writers do not end, let the process end without it.
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

    def _acquire(self, begun: float) -> bool:
        lease = self._cluster.get(LEASES, self._namespace, constants.LEASE_NAME)
        if lease is None:
            return self._create(begun)
        spec, version = _spec(lease), lease["metadata"]["resourceVersion"]
        self._transitions = max(self._transitions, _number(spec.get("leaseTransitions")))
        if self._is_own_term(lease):
            self._hold(self._write(version), begun)
            return True
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity):  # else it was released, or is of a container of this pod that has ended
            if self._is_leader:
                self._is_leader, self._renewed = False, float("-inf")
                raise LeadershipLost(f"{self._name} is held by {holder}")
            if not self._has_run_out(spec, version, begun):
                self._log_standby(f"Standing by: {self._name} is held by {holder}")
                return False
        self._lead(self._write(version, leaseTransitions=self._transitions + 1), begun)
        return True

    def _create(self, begun: float) -> bool:
        duration = self._timing.lease_duration
        if self._is_leader and self._observed is None and begun - self._renewed >= duration:
            self._observed = _Observation("", begun, begun, duration)  # another one may have led meanwhile
        seen = self._observed
        if seen is not None and begun - seen.seen < seen.duration:
            self._log_standby(f"Standing by: {self._name} was deleted, and its holder may lead until it runs out")
            return False
        body = self._body()
        body["spec"]["leaseTransitions"] = self._transitions + 1
        self._lead(self._cluster.create(LEASES, body, field_manager=constants.FIELD_MANAGER), begun)
        return True

    def _is_own_term(self, lease: dict[str, Any]) -> bool:
        """Return whether no replica has acquired the Lease since this one did."""
        spec = _spec(lease)
        is_held = spec.get("holderIdentity") == self._identity
        return is_held and _number(spec.get("leaseTransitions")) == self._term - 1

    def _has_run_out(self, spec: dict[str, Any], version: str, now: float) -> bool:
        duration = _number(spec.get("leaseDurationSeconds")) or self._timing.lease_duration
        before = self._observed
        changed = now if before is None or before.version != version else before.changed
        self._observed = _Observation(version, changed, now, duration)
        return now - changed >= duration

    def _log_standby(self, text: str) -> None:
        if self._standby_text != text:
            self._standby_text = text
            _logger.info("%s", text)

    def _lead(self, written: dict[str, Any], begun: float) -> None:
        self._transitions = _number(_spec(written).get("leaseTransitions"))
        self._term = self._transitions + 1  # before `_hold`, so that no fence of an earlier term opens
        self._is_leader, self._observed, self._standby_text = True, None, ""
        self._hold(written, begun)

    def _hold(self, written: dict[str, Any], begun: float) -> None:
        # From before the call: others count from when the API server wrote it, which is later.
        self._version, self._renewed = written["metadata"]["resourceVersion"], begun

    def _publish(self, changed: Callable[[bool], None]) -> None:
        """Log and report whether this replica leads, and in which term, if that has changed."""
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
                "leaseDurationSeconds": self._timing.lease_duration,
                "acquireTime": now,
                "renewTime": now,
            },
        }


def end_at_once() -> None:
    """End the process with exit code 1, without waiting for anything."""
    # Threads that write are not waited for: the fence stops them, and the next leader is at work.
    os._exit(1)


def identity() -> str:
    """Return a name that no two processes have at a time. Containers of one pod run one after the other."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def _spec(lease: dict[str, Any]) -> dict[str, Any]:
    return lease.get("spec") or {}


def _number(value: Any) -> int:
    """Return a positive whole number; 0 for anything else that a Lease may hold."""
    return value if isinstance(value, int) and value > 0 else 0
