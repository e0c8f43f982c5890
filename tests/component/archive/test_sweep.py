"""Logs that are older than `logArchive.retention`."""

import pytest

from tests.support import objects
from tests.support.archive_bed import ENDED, Bed, play, pod, write
from tests.support.fake_clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.waiting import until


def test_old_logs_go_and_the_log_tells_how_much(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        store = MemoryStore(FakeClock(objects.NOW))
        bed = Bed(store)
        write(bed.starts(), 0, 3)
        bed.follower.logs["nightly-1-a"].is_running = False
        async with bed.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", bed.is_complete)
            await archiver._sweep()
            assert store.objects
            bed.clock.forward(days=31)
            await archiver._sweep()
            assert not store.objects

    with caplog.at_level("INFO"):
        play(scene())
    assert "deleted: 1 runs, 1 objects" in caplog.text


def test_a_store_that_is_away_is_swept_another_day(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        store = MemoryStore()
        store.is_away = True
        async with Bed(store).archiver() as archiver:
            await archiver._sweep()

    play(scene())
    assert "Old logs stay until tomorrow" in caplog.text
