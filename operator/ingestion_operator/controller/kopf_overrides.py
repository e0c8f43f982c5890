"""Overrides that disable features of kopf which event handlers do not need.

Kopf's change handlers need the previous state of each object, and its daemons a record of each object. This operator
has event handlers only. Without the overrides kopf would keep a record of each object for its lifetime, and copy and
compare each object at each event.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory


class EphemeralMemories(ResourceMemories):
    """Returns a new record for each event and keeps none."""

    async def recall(
        self,
        raw_body: Any,
        *,
        memobase: Any = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,  # noqa: ARG002  always True here
    ) -> ResourceMemory:
        """Return a new record, which is not stored."""
        return await super().recall(raw_body, memobase=memobase, noticed_by_listing=noticed_by_listing, ephemeral=True)


class NullDiffBaseStorage(kopf.DiffBaseStorage):
    """Stores and compares nothing."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002
        """Return an empty essence instead of a copy of most of the object."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return None: nothing is stored."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Mapping[str, Any]) -> None:
        """Store nothing."""
