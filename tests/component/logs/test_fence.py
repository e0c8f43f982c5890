"""A replica that does not lead writes nothing into the archive, and continues once it leads again."""

import asyncio

from testing.archive_bed import ENDED, Bed, lines, play, pod, write
from testing.memory_store import MemoryStore
from testing.waiting import until


def test_nothing_is_archived_without_the_lease() -> None:
    leads = [True]
    bed = Bed(MemoryStore(), may_write=lambda: leads[-1])

    async def scene() -> None:
        log = bed.starts()
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, 3)
            await until("the first lines are there", lambda: bed.text() == lines(0, 3))
            leads.append(False)
            write(log, 3, 5)
            log.is_running = False
            archiver.observe(pod(**ENDED))
            await asyncio.sleep(0.3)  # several flushes
            assert bed.text() == lines(0, 3)
        assert bed.text() == lines(0, 3)
        leads.append(True)
        async with bed.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", bed.is_complete)
        assert bed.text() == lines(0, 5)

    play(scene())
