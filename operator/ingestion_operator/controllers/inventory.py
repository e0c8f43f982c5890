"""Which pipelines there are, by the watches, and where a watch may have missed something.

A watch that comes back too late, or to an API server that was restarted meanwhile, has to list everything anew. Such a
list does not tell what has gone: a Job of a run that is recorded as running, or a pipeline. All pipelines are looked at
then, as after a start.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Final

from ingestion_operator import constants
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.first_round import FirstSight
from ingestion_operator.kube.watching import Page
from ingestion_operator.ports import Clock
from ingestion_operator.refresh import PipelineKey

_logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_PAUSES: Final = 60
"""Watches that were cut together list at about the same time: one round is for all of them, but waits no longer."""

Seen = tuple[str, int, str]
"""Of a pipeline its uid, its generation and the kill that was asked for: what else changes is no news."""


class Inventory(Collection[PipelineKey]):
    """Belongs to the event loop."""

    def __init__(self, forget: Callable[[PipelineKey], None]) -> None:
        """Let `forget` know of pipelines that have gone."""
        self._forget = forget
        self._seen: dict[PipelineKey, Seen] = {}
        self._complete: set[tuple[str, str]] = set()
        """Watches (plural and namespace) that have listed everything once."""
        self._listing: dict[str, set[PipelineKey]] = {}
        """What a list of pipelines has shown so far, by namespace."""
        self._under_way: set[tuple[str, str]] = set()
        self._missed: set[str] = set()
        self._changed = asyncio.Event()

    def __contains__(self, key: object) -> bool:
        return key in self._seen

    def __iter__(self) -> Iterator[PipelineKey]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, key: PipelineKey, seen: Seen) -> bool:
        """Take notice of a pipeline that is there; tell whether that is news."""
        before, self._seen[key] = self._seen.get(key), seen
        return before != seen

    def remove(self, key: PipelineKey) -> None:
        """Take notice of a pipeline that has gone."""
        self._seen.pop(key, None)
        self._forget(key)

    def listed(self, page: Page) -> bool:
        """Take notice of a piece of a list; tell whether its watch had listed everything before."""
        watch = page.plural, page.namespace
        is_again = watch in self._complete
        if page.plural == constants.PLURAL:
            found = set() if page.is_first else self._listing.get(page.namespace, set())
            found |= {PipelineKey(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page.items}
            self._listing[page.namespace] = found
        if is_again:
            self._under_way.add(watch)
        if page.is_last:
            self._end_of_list(watch, is_again=is_again)
        return is_again

    def of(self, namespaces: Collection[str]) -> list[PipelineKey]:
        """Return the pipelines of some namespaces; "" means all."""
        return [key for key in self._seen if "" in namespaces or key.namespace in namespaces]

    async def missed(self) -> set[str]:
        """Wait until something may have been missed; return the namespaces ("" for all), once."""
        await self._changed.wait()
        for _ in range(_PAUSES):
            await asyncio.sleep(_PAUSE_SECONDS)
            if not self._under_way:
                break
        self._changed.clear()
        namespaces, self._missed = self._missed, set()
        return namespaces

    def _end_of_list(self, watch: tuple[str, str], *, is_again: bool) -> None:
        plural, namespace = watch
        if plural == constants.PLURAL:
            found = self._listing.pop(namespace)
            for key in self.of([namespace]):
                if key not in found:
                    self.remove(key)
        if is_again:
            self._under_way.discard(watch)
            self._missed.add(namespace)
            self._changed.set()
        self._complete.add(watch)


async def follow_relists(
    inventory: Inventory, queue: RefreshQueue, clock: Clock, look_at_all: Callable[[Collection[str]], FirstSight]
) -> None:
    """Look at all pipelines of a namespace whenever a watch had to list it anew."""
    while True:
        namespaces = await inventory.missed()
        sight = await asyncio.to_thread(look_at_all, namespaces)
        now, keys = clock.now(), inventory.of(namespaces)
        for key in keys:
            again_at = sight.again_at.get(key, now)
            if again_at is not None:
                queue.mark(key, after=max(0.0, (again_at - now).total_seconds()))
        _logger.info(
            "Watches had to list anew: of %d pipelines %d were at rest, the others are looked at one by one",
            len(keys),
            sum(key in sight.again_at for key in keys),
        )
