"""The cache of the cluster: reflectors read objects into a store of frozen records."""

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
"""Maximum time between two attempts of a reflector: a watch lasts six and a half minutes at most."""

_FAILURES: Final = 2
"""Failures in a row that make a scope unreadable. A single one, such as a cut watch, is normal."""


class Cache:
    """One store and the reflectors that feed it. Any thread may call all methods but `run` and `relist`."""

    def __init__(
        self,
        api: ApiReads,
        scopes: Iterable[str],
        kinds: Iterable[Kind] = READERS,
        *,
        observe: Observe = lambda *_: None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """Create a cache of `scopes`: namespaces, or "" for the whole cluster, which includes all others."""
        wanted = list(scopes)
        self.store = Store([""] if "" in wanted else wanted, kinds)
        # Its own thread: all others may be busy with calls to the API server.
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
        """Keep the store up to date until cancelled. Call it once."""
        tasks = [asyncio.create_task(reflector.run(), name=f"cache: {reflector}") for reflector in self.reflectors]
        self._tasks = [(reflector, task.done) for reflector, task in zip(self.reflectors, tasks, strict=True)]
        # A task that ends unexpectedly must not end the others: `problems` reports it.
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._executor.shutdown(wait=False)

    def relist(self) -> None:
        """Treat every scope as not synced until it is listed again. Call it from the event loop of `run`.

        For a replica that starts to lead: it must not decide from a watch whose connection is dead.
        """
        for reflector in self.reflectors:
            self.store.expire(reflector.kind, reflector.scope)
            reflector.relist()

    def ages(self) -> dict[tuple[Kind, str], float]:
        """Return, by kind and scope, the seconds since the last data from the API server."""
        return {(one.kind, one.scope): one.age_seconds for one in self.reflectors}

    def problems(self) -> list[str]:
        """Return the problems that only a restart fixes: reflectors that have ended or make no attempts.

        An API server or a scope that cannot be read is not among them: see `unreadable`.
        """
        ended = [f"the reflector of {reflector} has ended" for reflector, is_done in self._tasks if is_done()]
        stuck = [
            f"the reflector of {reflector} has made no attempt for {reflector.last_attempt_seconds:.0f} s"
            for reflector, is_done in self._tasks
            if not is_done() and reflector.last_attempt_seconds > _ATTEMPT_SECONDS
        ]
        return ended + stuck

    def unreadable(self) -> dict[str, str]:
        """Return the scopes whose last two attempts failed, each with the last error."""
        failing = [one for one in self.reflectors if one.failures >= _FAILURES]
        return {one.scope: one.last_error for one in reversed(failing)}


def _selector(kind: Kind) -> str:
    return LABEL_PIPELINE if kind != PIPELINES else ""
