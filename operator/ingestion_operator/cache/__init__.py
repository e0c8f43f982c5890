"""The cache of facts: what reflectors read of the cluster, as frozen records in a store."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ingestion_operator.cache.projections import READERS
from ingestion_operator.cache.reflector import DEFAULT_TIMING, ApiReads, Observe, Reflector, Timing
from ingestion_operator.cache.store import Store
from ingestion_operator.constants import LABEL_PIPELINE
from ingestion_operator.ports import PIPELINES, Kind

_ATTEMPT_SECONDS: Final = 600.0
"""A reflector makes an attempt for each watch, which lasts six and a half minutes at most, and for each pause."""

_FAILURES: Final = 2
"""After one, such as a watch that was cut, the next attempt is mostly right."""


class Cache:
    """One store and the reflectors that feed it. All but `run` may be called by any thread."""

    def __init__(
        self,
        api: ApiReads,
        scopes: Iterable[str],
        kinds: Iterable[Kind] = READERS,
        *,
        observe: Observe = lambda *_: None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """`scopes` are namespaces; "" is the whole cluster, beside which no other counts."""
        wanted = list(scopes)
        self.store = Store([""] if "" in wanted else wanted, kinds)
        # A thread of its own: calls that wait for the API server may hold all others.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="cache")
        self.reflectors = [
            Reflector(
                api,
                kind,
                scope,
                _selector(kind),
                self.store,
                observe=observe,
                timing=timing,
                executor=self._executor,
            )
            for scope in self.store.scopes
            for kind in self.store.kinds
        ]
        self._tasks: list[tuple[Reflector, Callable[[], bool]]] = []

    async def run(self) -> None:
        """Keep the store up to date until cancelled. To be called once."""
        tasks = [asyncio.create_task(reflector.run(), name=f"cache: {reflector}") for reflector in self.reflectors]
        self._tasks = [(reflector, task.done) for reflector, task in zip(self.reflectors, tasks, strict=True)]
        # One that ends against all expectation must not end the others: `problems` reports it.
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._executor.shutdown(wait=False)

    def relist(self) -> None:
        """Count every scope as not synced until it has been listed again. Call it from the event loop of `run`.

        For a replica that begins to lead: it must not decide from a watch that was cut without a sign.
        """
        for reflector in self.reflectors:
            self.store.expire(reflector.kind, reflector.scope)
            reflector.relist()

    def ages(self) -> dict[tuple[Kind, str], float]:
        """Return, by kind and scope, how many seconds ago the API server last gave a sign."""
        return {(one.kind, one.scope): one.age_seconds for one in self.reflectors}

    def problems(self) -> list[str]:
        """Return what only a new process can help against: reflectors that have ended or make no attempts.

        An API server or a scope that cannot be read is not one of them: see `unreadable`.
        """
        ended = [f"the reflector of {reflector} has ended" for reflector, is_done in self._tasks if is_done()]
        stuck = [
            f"the reflector of {reflector} has made no attempt for {reflector.last_attempt_seconds:.0f} s"
            for reflector, is_done in self._tasks
            if not is_done() and reflector.last_attempt_seconds > _ATTEMPT_SECONDS
        ]
        return ended + stuck

    def unreadable(self) -> dict[str, str]:
        """Return the scopes that could not be read in the last two attempts, each with a reason."""
        failing = [one for one in self.reflectors if one.failures >= _FAILURES]
        return {one.scope: one.last_error for one in reversed(failing)}


def _selector(kind: Kind) -> str:
    return LABEL_PIPELINE if kind != PIPELINES else ""
