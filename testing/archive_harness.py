"""The surroundings of an archiver: pods that write, a clock, a store, and any number of operators' lives."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from ingestion_operator import constants
from ingestion_operator.logs.archiver import LogArchiver
from ingestion_operator.logs.layout import AttemptKey, attempt_of
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.ports import LogStore
from ingestion_operator.runs.pods import Pod, read_pod
from testing import objects
from testing.fake_clock import FakeClock
from testing.fake_follower import FakeFollower, FollowedLog
from testing.kubelet_log import NANOSECONDS

BEGUN = int(objects.NOW.timestamp() + 2) * NANOSECONDS
"""The time of the first line."""

ENDED: dict[str, Any] = {"exit_code": 0}
"""The state of a pod whose container has ended."""


def pod(name: str = "nightly-1-a", **state: Any) -> Pod:
    """A pod of a run; it runs if no other state is given."""
    return read_pod(pod_body(name, **state))


def pod_body(name: str = "nightly-1-a", **state: Any) -> objects.Body:
    """The same as the API server returns it."""
    body = objects.pod(name, **(state or {"running": True}))
    body["metadata"]["uid"] = f"uid-of-{name}"
    body["metadata"]["labels"] |= {constants.LABEL_PIPELINE: "nightly", constants.LABEL_JOB_UID: objects.UID}
    return body


def attempt(name: str = "nightly-1-a") -> AttemptKey:
    """The attempt that the pod of this name is."""
    key = attempt_of(pod(name))
    assert key is not None
    return key


class ArchiveHarness:
    """An archiver's surroundings: what lives on when it is restarted."""

    def __init__(self, store: LogStore, **options: Any) -> None:
        self.store = store
        self.reader = ArchiveReader(store)
        self.follower = FakeFollower()
        self.clock = FakeClock(objects.NOW)
        self.options = {"flush_seconds": 0.02, "first_pause_seconds": 0.002} | options

    def starts(self, name: str = "nightly-1-a") -> FollowedLog:
        """A container starts."""
        log = self.follower.logs[name] = FollowedLog()
        return log

    @asynccontextmanager
    async def archiver(self) -> AsyncIterator[LogArchiver]:
        """An operator's life."""
        found = LogArchiver(self.store, self.follower, self.clock, lambda: timedelta(days=30), **self.options)
        task = asyncio.create_task(found.run())
        await asyncio.sleep(0)
        try:
            yield found
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def text(self, name: str = "nightly-1-a") -> str:
        """What the archive has."""
        return self.reader.tail(attempt(name), 10**9)

    def is_complete(self, name: str = "nightly-1-a") -> bool:
        """Whether the archive has the end."""
        return self.reader.find(attempt(name)).is_complete


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop of its own, for a minute at most."""
    asyncio.run(asyncio.wait_for(work, 60))


def write(log: FollowedLog, first: int, last: int) -> None:
    """Write numbered lines, three tenths of a second apart."""
    for number in range(first, last):
        log.write(BEGUN + number * 300_000_000, f"line {number}\n".encode())


def lines(first: int, last: int) -> str:
    """The text of numbered lines."""
    return "".join(f"line {number}\n" for number in range(first, last))
