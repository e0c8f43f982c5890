"""The log archive in a bucket of a real S3 server: written, read in pages, swept."""

import asyncio
from datetime import UTC, datetime, timedelta

from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.errors import StoreError
from ingestion_operator.logs.retention import sweep
from testing.archive_bed import ENDED, Bed, attempt, lines, play, pod, write
from testing.s3_server import S3Server
from testing.waiting import until

LONG = 12_000
"""Lines that are more than two segments."""


class CountingStore(ObjectStore):
    """Knows how often it could not write."""

    failures = 0

    def put(self, key: str, data: bytes) -> None:
        try:
            super().put(key, data)
        except StoreError:
            self.failures += 1
            raise


def store_on(server: S3Server, bucket: str) -> CountingStore:
    server.make_bucket(bucket)
    return CountingStore(f"s3://{bucket}/logs/here", create=True, request_seconds=2, attempts=2)


def test_a_log_in_a_bucket_is_whole_in_pages_and_at_its_end(server: S3Server, bucket: str) -> None:
    bed = Bed(store_on(server, bucket), flush_seconds=0.05)

    async def scene() -> None:
        log = bed.starts()
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, LONG)
            await until("the log is read", lambda: bed.text().endswith(lines(LONG - 1, LONG)))
            log.is_running = False
            archiver.observe(pod(**ENDED))
            await until("the log is complete", bed.is_complete)

    play(scene())
    text, size = lines(0, LONG), 50_000
    found = bed.reader.find(attempt())
    pages = [bed.reader.page(attempt(), found, index, size=size) for index in range(-(-len(text) // size))]
    assert "".join(page.text for page in pages) == text
    assert {page.total for page in pages} == {len(pages)}
    assert bed.reader.tail(attempt(), 1_000) == text[-1_000:]
    assert bed.reader.attempts(attempt().run) == [attempt()]
    assert len(found.segments) == len(list(bed.store.list("")))


def test_nothing_is_lost_or_doubled_when_the_server_goes_and_comes_back(fragile_server: S3Server, bucket: str) -> None:
    store = store_on(fragile_server, bucket)
    bed = Bed(store, flush_seconds=0.05)
    log = bed.starts()

    async def the_server_goes_while_it_is_written_to(first: int) -> None:
        await asyncio.to_thread(fragile_server.kill)
        store.failures = 0
        write(log, first, first + LONG)
        await until("the archive waits", lambda: store.failures > 0)

    async def the_server_is_back(first: int) -> None:
        await asyncio.to_thread(fragile_server.start)
        write(log, first, first + LONG)
        written = len(lines(0, first + LONG))
        await until("all is written", lambda: bed.reader.find(attempt()).characters >= written)

    async def scene() -> None:
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, LONG)
            await until("something is written", lambda: bed.reader.find(attempt()).characters > 0)
            await the_server_goes_while_it_is_written_to(LONG)
            await the_server_is_back(2 * LONG)
            await the_server_goes_while_it_is_written_to(3 * LONG)  # and the operator ends, unable to write
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            await the_server_is_back(4 * LONG)
            await the_server_goes_while_it_is_written_to(5 * LONG)
            log.is_running = False
            archiver.observe(pod(**ENDED))
            await asyncio.to_thread(fragile_server.start)
            await until("the log is complete", bed.is_complete)

    play(scene())
    assert bed.text() == lines(0, 6 * LONG)


def test_the_sweep_takes_old_runs_and_nothing_else(server: S3Server, bucket: str) -> None:
    bed = Bed(store_on(server, bucket), flush_seconds=0.05)
    bed.clock.moment = datetime.now(UTC)  # which is the time that the server gives to what it stores
    foreign = ObjectStore(f"s3://{bucket}", create=True)
    foreign.put("somebody/else", b"")
    bed.store.put("not/of/the/archive", b"")

    async def scene() -> None:
        write(bed.starts(), 0, 10)
        bed.follower.logs["nightly-1-a"].is_running = False
        async with bed.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", bed.is_complete)
            await archiver._sweep()
            assert bed.text() == lines(0, 10)
            bed.clock.forward(days=31)
            await archiver._sweep()
            assert bed.text() == ""

    play(scene())
    assert sorted(stored.key for stored in foreign.list("")) == ["logs/here/not/of/the/archive", "somebody/else"]
    assert sweep(bed.store, bed.clock.now() + timedelta(days=1)).runs == 0
