"""A replica that does not lead writes nothing into the archive, and continues once it leads again."""

import asyncio

import pytest

from testing.archive_harness import ENDED, ArchiveHarness, lines, pod, write
from testing.memory_store import MemoryStore
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_nothing_is_archived_without_the_lease() -> None:
    leads = [True]
    harness = ArchiveHarness(MemoryStore(), may_write=lambda: leads[-1])
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the first lines are there", lambda: harness.text() == lines(0, 3))
        leads.append(False)
        write(log, 3, 5)
        log.is_running = False
        archiver.observe(pod(**ENDED))
        await asyncio.sleep(0.3)  # several flushes
        assert harness.text() == lines(0, 3)
    assert harness.text() == lines(0, 3)
    leads.append(True)
    async with harness.archiver() as archiver:
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 5)
