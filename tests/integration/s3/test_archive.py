"""The log archive in a bucket of a real S3 server: written, read in pages, swept."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.errors import StoreError
from ingestion_operator.logs.retention import sweep
from testing.archive_harness import ENDED, ArchiveHarness, attempt, lines, pod, write
from testing.s3_server import S3Server
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

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


async def test_a_log_in_a_bucket_is_whole_in_pages_and_at_its_end(server: S3Server, bucket: str) -> None:
    harness = ArchiveHarness(store_on(server, bucket), flush_seconds=0.05)
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, LONG)
        await until("the log is read", lambda: harness.text().endswith(lines(LONG - 1, LONG)))
        log.is_running = False
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete)
    text, size = lines(0, LONG), 50_000
    found = harness.reader.find(attempt())
    pages = [harness.reader.page(attempt(), found, index, size=size) for index in range(-(-len(text) // size))]
    assert "".join(page.text for page in pages) == text
    assert {page.total for page in pages} == {len(pages)}
    assert harness.reader.tail(attempt(), 1_000) == text[-1_000:]
    assert harness.reader.attempts(attempt().run) == [attempt()]
    assert len(found.segments) == len(list(harness.store.list("")))


async def test_an_outage_of_the_server_loses_and_doubles_nothing(fragile_server: S3Server, bucket: str) -> None:
    store = store_on(fragile_server, bucket)
    harness = ArchiveHarness(store, flush_seconds=0.05)
    log = harness.starts()

    async def the_server_goes_while_it_is_written_to(first: int) -> None:
        await asyncio.to_thread(fragile_server.kill)
        store.failures = 0
        write(log, first, first + LONG)
        await until("the archive waits", lambda: store.failures > 0)

    async def the_server_is_back(first: int) -> None:
        await asyncio.to_thread(fragile_server.start)
        write(log, first, first + LONG)
        written = len(lines(0, first + LONG))
        await until("all is written", lambda: harness.reader.find(attempt()).characters >= written)

    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, LONG)
        await until("something is written", lambda: harness.reader.find(attempt()).characters > 0)
        await the_server_goes_while_it_is_written_to(LONG)
        await the_server_is_back(2 * LONG)
        await the_server_goes_while_it_is_written_to(3 * LONG)  # and the operator ends, unable to write
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        await the_server_is_back(4 * LONG)
        await the_server_goes_while_it_is_written_to(5 * LONG)
        log.is_running = False
        archiver.observe(pod(**ENDED))
        await asyncio.to_thread(fragile_server.start)
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 6 * LONG)


async def test_the_sweep_takes_old_runs_and_nothing_else(server: S3Server, bucket: str) -> None:
    harness = ArchiveHarness(store_on(server, bucket), flush_seconds=0.05)
    harness.clock.moment = datetime.now(UTC)  # which is the time that the server gives to what it stores
    foreign = ObjectStore(f"s3://{bucket}", create=True)
    foreign.put("another/client", b"")
    harness.store.put("not/of/the/archive", b"")
    write(harness.starts(), 0, 10)
    harness.follower.logs["nightly-1-a"].is_running = False
    async with harness.archiver() as archiver:
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete)
        await archiver._sweep()
        assert harness.text() == lines(0, 10)
        harness.clock.forward(days=31)
        await archiver._sweep()
        assert harness.text() == ""
    assert sorted(stored.key for stored in foreign.list("")) == ["another/client", "logs/here/not/of/the/archive"]
    assert sweep(harness.store, harness.clock.now() + timedelta(days=1)).runs == 0
