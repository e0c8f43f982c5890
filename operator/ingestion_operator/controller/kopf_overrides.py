"""What kopf keeps and computes for handlers of another kind than ours, left out.

Its handlers for changes need to know what each object was like before, those for daemons what runs for it. We have
handlers for events alone, which need neither: kopf would keep a record of each object as long as it exists, and copy
and compare each object at each event.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory


class NoMemories(ResourceMemories):
    """Gives each event a record of its own and keeps none."""

    async def recall(
        self,
        raw_body: Any,
        *,
        memobase: Any = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,  # noqa: ARG002  all are
    ) -> ResourceMemory:
        """Return a new record, as kopf does for what may never exist."""
        return await super().recall(raw_body, memobase=memobase, noticed_by_listing=noticed_by_listing, ephemeral=True)


class NoDifferences(kopf.DiffBaseStorage):
    """Finds nothing in an object that could have changed."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002
        """Return nothing, where kopf would return a copy of most of the object."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return nothing, since nothing was stored."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Mapping[str, Any]) -> None:
        """Store nothing."""
