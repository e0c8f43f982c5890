"""Pods' logs that grow, in the event loop."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

from ingestion_operator.errors import NotFound, Unavailable
from testing.kubelet_log import KubeletLog


class FollowedLog(KubeletLog):
    """The log of a pod that is there and whose container runs, until it is said to have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_running = True
        self.is_there = True
        self.rotated = 0

    def rotate(self, *, keep: int) -> None:
        self.rotated += len(self.entries) - keep
        super().rotate(keep=keep)


class FakeFollower:
    """Implements the port LogFollower: `follower.logs["pod"] = FollowedLog()`."""

    def __init__(self) -> None:
        self.logs: dict[str, FollowedLog] = {}
        self.requests: list[str] = []
        """The pods asked for, in order."""
        self.open: set[str] = set()
        self.most_open = 0
        self.sent = 0
        """Bytes."""
        self.cut_after: int | None = None
        """Each connection breaks after so many entries."""
        self.is_silent = False
        """Connections that follow a log send nothing and do not end."""
        self.last_words = b""
        """The kubelet's text at the end of each answer."""

    async def stream(
        self, namespace: str, pod: str, *, since: datetime | None, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        self.requests.append(pod)
        self.open.add(pod)
        self.most_open = max(self.most_open, len(self.open))
        try:
            async for item in self._items(namespace, pod, since, follow=follow):
                self.sent += len(item)
                yield item
        finally:
            self.open.discard(pod)

    async def _items(
        self, namespace: str, pod: str, since: datetime | None, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        log = self.logs.get(pod)
        if log is None or not log.is_there:
            raise NotFound(f"pod {namespace}/{pod} is not there", code=404)
        if follow and self.is_silent:
            await asyncio.Event().wait()
        seen, served = log.rotated, 0
        while True:
            was_running = log.is_running
            for item in log.items(since, max(0, seen - log.rotated)):
                seen += 1
                served += 1
                if self.cut_after is not None and served > self.cut_after:
                    raise Unavailable("the connection was cut")
                if item:
                    yield item
            if not (follow and was_running):
                break
            await asyncio.sleep(0.001)
        if self.last_words:
            yield self.last_words
