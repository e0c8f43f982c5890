"""Circuit breakers: which pipelines may call a server now, and which are enqueued once it may be called again.

While a server fails, one caller at a time tries it, after pauses that grow; all others are refused at once and
remembered. So neither workers nor the API server pay for its absence, however many pipelines wait. Once it has
answered they are enqueued a few at a time, which spares a server that has just come back.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from ingestion_operator.reporting.results import ReportBlocker

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
MOST_CALLERS: Final = 4
"""Of one server at a time, so that a slow one leaves workers to the others."""

Caller = tuple[str, str]
"""Namespace and name of a pipeline."""


@dataclass(frozen=True)
class Refused:
    """No call may be made now: the server fails (the blocker), or has enough callers (None)."""

    blocker: ReportBlocker | None


@dataclass
class _Breaker:
    failures: int = 0
    """In a row; 0 while the server is well."""
    shut_until: float = 0.0
    callers: int = 0
    blocker: ReportBlocker | None = None
    waiting: dict[Caller, float] = field(default_factory=dict)
    """Since they came, oldest first: not to be woken before."""
    strikes: dict[Caller, int] = field(default_factory=dict)
    """Failures in a row of one caller: one that fails alone must not be tried at every turn."""

    def free(self, now: float) -> int:
        most = 1 if self.failures else MOST_CALLERS
        return 0 if now < self.shut_until else most - self.callers


class Breakers:
    """A breaker for each server, and one for each token at a server. May be shared by threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._breakers: dict[str, _Breaker] = {}

    def enter(self, names: tuple[str, ...], caller: Caller) -> Refused | None:
        """Admit a caller to all that are named, or to none; one that is admitted must `leave` them.

        One that is refused is named by `due` later.
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

    def leave(self, verdicts: Mapping[str, ReportBlocker | bool], caller: Caller) -> None:
        """Say for each that was entered how it went: True for well, False for unknown, or what was in the way."""
        with self._lock:
            for name, verdict in verdicts.items():
                breaker = self._breakers[name]
                breaker.callers -= 1
                if isinstance(verdict, ReportBlocker):
                    self._fail(breaker, verdict, caller)
                elif verdict:
                    breaker.failures, breaker.shut_until, breaker.blocker = 0, 0.0, None
                    breaker.strikes.pop(caller, None)

    def due(self) -> list[Caller]:
        """Return whom to wake now; each is named once, unless it is refused again."""
        woken: list[Caller] = []
        with self._lock:
            now = self._monotonic()
            for breaker in self._breakers.values():
                ready = [caller for caller, moment in breaker.waiting.items() if moment <= now]
                for caller in ready[: max(0, breaker.free(now))]:
                    del breaker.waiting[caller]
                    woken.append(caller)
        return woken

    def _fail(self, breaker: _Breaker, blocker: ReportBlocker, caller: Caller) -> None:
        now = self._monotonic()
        strikes = breaker.strikes[caller] = breaker.strikes.get(caller, 0) + 1
        breaker.waiting[caller] = now + _pause(strikes)
        if now < breaker.shut_until:
            return  # called before another one failed: the same fault must not count twice
        breaker.failures += 1
        breaker.shut_until = now + _pause(breaker.failures)
        # What a person has to do changes as they do it; other words of a server that is away are no change.
        breaker.blocker = blocker if blocker.needs_action else breaker.blocker or blocker


def _pause(failures: int) -> float:
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter
