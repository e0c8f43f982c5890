"""Reconciles that are recorded, and a work queue that calls for them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.workqueue import Reconcile, WorkQueue
from testing.fake_clock import FakeClock
from testing.waiting import until

BOUND_SECONDS: Final = 10.0


class Reconciles:
    """Records reconciles; `gate` holds them until it is set, `answers` are what they return or raise."""

    def __init__(self) -> None:
        self.keys: list[PipelineKey] = []
        self.times: list[float] = []
        self.running = 0
        self.most = 0
        """How many were in progress at a time."""
        self.gate = threading.Event()
        self.gate.set()
        self.answers: list[datetime | BaseException | None] = []
        self._lock = threading.Lock()

    def __call__(self, key: PipelineKey) -> datetime | None:
        """Reconcile a pipeline, as the queue's workers do."""
        with self._lock:
            self.keys.append(key)
            self.times.append(time.monotonic())
            self.running += 1
            self.most = max(self.most, self.running)
            answer = self.answers.pop(0) if self.answers else None
        assert self.gate.wait(BOUND_SECONDS)
        with self._lock:
            self.running -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer


@asynccontextmanager
async def running(reconcile: Reconcile, clock: FakeClock | None = None, **options: Any) -> AsyncIterator[WorkQueue]:
    """A queue at work with delays a tenth as long, shut down in the end."""
    delays: dict[str, Any] = {"debounce": 0.01, "retry": Backoff(0.05, 6.0)}
    queue = WorkQueue(reconcile, clock or FakeClock(), **(delays | options))
    dispatch = asyncio.create_task(queue.run())
    try:
        yield queue
        assert not dispatch.done()
    finally:
        await queue.shutdown(BOUND_SECONDS)
        await asyncio.wait_for(dispatch, BOUND_SECONDS)


async def idle(queue: WorkQueue) -> None:
    """Wait until nothing is requested or in progress."""
    await until("nothing is requested or in progress", lambda: not queue._processing and not queue._requests)
