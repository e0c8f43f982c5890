"""Circuit breakers: which pipelines may call a server now, and which are enqueued once it may be called again.

While a server fails, one caller at a time tries it, with back-off; all others are refused immediately and remembered.
So an unreachable server costs neither workers nor API requests, however many pipelines wait. After a successful call
the waiting pipelines are enqueued a few at a time, to spare a server that has just recovered.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from ingestion_operator.reporting.results import ReportBlocker
from ingestion_operator.runtime.backoff import Backoff

RETRY: Final = Backoff(first=1.0, last=60.0)
MAX_CALLERS: Final = 4
"""Concurrent callers of one server, so that a slow server leaves workers to the others."""

Caller = tuple[str, str]
"""Namespace and name of a pipeline."""


@dataclass(frozen=True)
class Refused:
    """No call may be made now: the server fails (`blocker`), or has enough callers (None)."""

    blocker: ReportBlocker | None


@dataclass
class _Breaker:
    failures: int = 0
    """Consecutive failures; 0 while the server works."""
    open_until: float = 0.0
    callers: int = 0
    blocker: ReportBlocker | None = None
    waiting: dict[Caller, float] = field(default_factory=dict)
    """The waiting callers, oldest first, each with the monotonic time before which it is not enqueued."""
    caller_failures: dict[Caller, int] = field(default_factory=dict)
    """Consecutive failures by caller: one that fails alone must not be retried each time."""

    def free(self, now: float) -> int:
        limit = 1 if self.failures else MAX_CALLERS
        return 0 if now < self.open_until else limit - self.callers


class Breakers:
    """A breaker for each server and for each token of a server. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._breakers: dict[str, _Breaker] = {}

    def acquire(self, names: tuple[str, ...], caller: Caller) -> Refused | None:
        """Admit a caller to all named breakers, or to none; an admitted caller must `release` them.

        `due` returns a refused caller later.
        """
        with self._lock:
            now = self._monotonic()
            breakers = [self._breakers.setdefault(name, _Breaker()) for name in names]
            for breaker in breakers:
                if breaker.free(now) < 1:
                    breaker.waiting.setdefault(caller, now)
                    return Refused(breaker.blocker)
            for breaker in breakers:
                breaker.waiting.pop(caller, None)
                breaker.callers += 1
            return None

    def release(self, outcomes: Mapping[str, ReportBlocker | bool], caller: Caller) -> None:
        """Release the acquired breakers, each with its outcome: True for success, False for unknown, or the blocker."""
        with self._lock:
            for name, outcome in outcomes.items():
                breaker = self._breakers[name]
                breaker.callers -= 1
                if isinstance(outcome, ReportBlocker):
                    self._fail(breaker, outcome, caller)
                elif outcome:
                    breaker.failures, breaker.open_until, breaker.blocker = 0, 0.0, None
                    breaker.caller_failures.pop(caller, None)

    def due(self) -> list[Caller]:
        """Return the callers to enqueue now; each is returned once, unless it is refused again."""
        due: list[Caller] = []
        with self._lock:
            now = self._monotonic()
            for breaker in self._breakers.values():
                ready = [caller for caller, moment in breaker.waiting.items() if moment <= now]
                for caller in ready[: max(0, breaker.free(now))]:
                    del breaker.waiting[caller]
                    due.append(caller)
        return due

    def _fail(self, breaker: _Breaker, blocker: ReportBlocker, caller: Caller) -> None:
        now = self._monotonic()
        failures = breaker.caller_failures[caller] = breaker.caller_failures.get(caller, 0) + 1
        breaker.waiting[caller] = now + RETRY.delay(failures)
        if now < breaker.open_until:
            return  # this call started before another one failed: the same fault must not count twice
        breaker.failures += 1
        breaker.open_until = now + RETRY.delay(breaker.failures)
        # A blocker that needs action changes as the user acts; different errors of an unreachable server do not matter.
        breaker.blocker = blocker if blocker.needs_action else breaker.blocker or blocker
