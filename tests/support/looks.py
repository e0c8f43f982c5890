"""Looks that are recorded, and a queue that calls for them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from ingestion_operator.controllers.queue import Look, RefreshQueue
from ingestion_operator.k8s.objects import PipelineKey
from tests.support.fake_clock import FakeClock
from tests.support.objects import Body

BOUND_SECONDS: Final = 10.0


class Looks:
    """Records looks; `gate` holds them until it is set, `answers` are what they return or raise."""

    def __init__(self) -> None:
        self.seen: list[tuple[PipelineKey, list[Body]]] = []
        self.times: list[float] = []
        self.running = 0
        self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self.answers: list[datetime | Exception | None] = []
        self._lock = threading.Lock()

    def __call__(self, key: PipelineKey, pods: list[Body]) -> datetime | None:
        """Look at a pipeline, as the queue's workers do."""
        with self._lock:
            self.seen.append((key, pods))
            self.times.append(time.monotonic())
            self.running += 1
            self.most = max(self.most, self.running)
            answer = self.answers.pop(0) if self.answers else None
        assert self.gate.wait(BOUND_SECONDS)
        with self._lock:
            self.running -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def keys(self) -> list[PipelineKey]:
        """What was looked at, in that order."""
        return [key for key, _ in self.seen]


@asynccontextmanager
async def running(look: Look, clock: FakeClock | None = None) -> AsyncIterator[RefreshQueue]:
    """A queue at work, stopped in the end."""
    queue = RefreshQueue(look, clock or FakeClock())
    worker = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
