"""Logs that are older than `logArchive.retention`."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from ingestion_operator.logs import archiver
from ingestion_operator.ports import StoredObject
from testing import objects
from testing.archive_harness import ENDED, ArchiveHarness, pod, run_async, write
from testing.fake_clock import FakeClock
from testing.memory_store import MemoryStore
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_old_logs_are_deleted_and_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        store = MemoryStore(FakeClock(objects.NOW))
        harness = ArchiveHarness(store)
        write(harness.starts(), 0, 3)
        harness.follower.logs["nightly-1-a"].is_running = False
        async with harness.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", harness.is_complete)
            await archiver._sweep()
            assert store.objects
            harness.clock.forward(days=31)
            await archiver._sweep()
            assert not store.objects
    assert "deleted: 1 runs, 1 objects" in caplog.text


async def test_a_store_that_is_away_is_swept_another_day(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.is_away = True
    async with ArchiveHarness(store).archiver() as archiver:
        await archiver._sweep()
    assert "Old logs were not deleted" in caplog.text


class EndlessStore(MemoryStore):
    """A store with more objects than can be listed in a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.is_listed = threading.Event()

    def list(self, prefix: str) -> Iterator[StoredObject]:
        for number in range(6000):
            self.is_listed.set()
            time.sleep(0.01)
            yield StoredObject(f"{prefix}{number}", 1, objects.NOW)


def test_a_process_that_ends_does_not_wait_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver, "_FIRST_SWEEP_SECONDS", 0.0)
    store = EndlessStore()

    async def run() -> None:
        async with ArchiveHarness(store).archiver():
            await asyncio.to_thread(store.is_listed.wait)

    started_at = time.monotonic()
    run_async(run())
    assert time.monotonic() - started_at < 5
