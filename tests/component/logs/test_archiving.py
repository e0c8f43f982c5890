"""LogArchiver over pods that write, and a real folder."""

import asyncio
import threading
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_operator.logs import archiver as archiver_module
from ingestion_operator.logs.archiver import MAX_STREAMS
from testing.archive_harness import BEGUN, ENDED, ArchiveHarness, lines, pod, run_async, write
from testing.memory_store import MemoryStore
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_a_log_is_archived_as_written_and_completed_at_its_end(
    harness: ArchiveHarness,
) -> None:
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod(waiting=("ContainerCreating", "")))
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the first lines are there", lambda: harness.text() == lines(0, 3))
        assert not harness.is_complete()
        write(log, 3, 5)
        log.is_running = False
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 5)


async def test_a_killed_container_is_followed_to_its_last_line(harness: ArchiveHarness) -> None:
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the lines are read", lambda: harness.text() == lines(0, 3))
        dying = replace(pod(), is_deleting=True)
        archiver.observe(dying)
        write(log, 3, 9)
        log.is_running = False
        await until("the stream has ended", lambda: not harness.follower.open)
        log.is_there = False
        archiver.forget(dying)
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 9)


async def test_only_the_last_complete_logs_are_known_without_a_read() -> None:
    harness = ArchiveHarness(MemoryStore(), max_done=1)
    async with harness.archiver() as archiver:
        for name in ("nightly-1-a", "nightly-2-a"):
            harness.starts(name).is_running = False
            archiver.observe(pod(name, **ENDED))
            await until("the log is complete", lambda: not archiver.streams)
        archiver.observe(pod("nightly-2-a", **ENDED))
        assert archiver.streams == 0
        archiver.observe(pod("nightly-1-a", **ENDED))
        assert archiver.streams == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(1, 4)), min_size=1, max_size=4))
def test_no_line_is_lost_or_doubled_by_restarts_and_cuts(
    lives: list[tuple[int, bool, int]],
) -> None:
    """Each life: how many lines are written in it, whether it can still flush at its end, when connections break."""

    async def run() -> None:
        store = MemoryStore()
        harness = ArchiveHarness(store)
        log, written = harness.starts(), 0
        for count, is_killed, cut_after in lives:
            harness.follower.cut_after = cut_after + len(log.entries)
            async with harness.archiver() as archiver:
                archiver.observe(pod())
                write(log, written, written + count)
                written += count
                await asyncio.sleep(0.01)
                store.is_away = is_killed
            store.is_away = False
        harness.follower.cut_after = None
        log.is_running = False
        async with harness.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", harness.is_complete)
        assert harness.text() == lines(0, written)

    run_async(run())


async def test_what_has_been_read_is_written_when_the_operator_ends(harness: ArchiveHarness) -> None:
    harness.options["flush_seconds"] = 3600
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the lines are sent", lambda: harness.follower.sent > 100)
    assert harness.text() == lines(0, 3)


async def test_the_operators_end_does_not_wait_for_a_hanging_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver_module, "STOP_SECONDS", 0.2)
    go_on = threading.Event()

    class HangingStore(MemoryStore):
        def put(self, key: str, data: bytes) -> None:
            go_on.wait(20)
            super().put(key, data)

    harness = ArchiveHarness(HangingStore())
    write(harness.starts(), 0, 3)
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        await until("the lines are sent", lambda: harness.follower.sent > 100)
        begin = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begin < 2
    go_on.set()


async def test_rotation_during_an_outage_is_noted_in_the_text(harness: ArchiveHarness) -> None:
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the lines are there", lambda: harness.text() == lines(0, 3))
    write(log, 3, 9)
    log.rotate(keep=2)
    log.is_running = False
    async with harness.archiver() as archiver:
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete)
    before, _, after = harness.text().partition("\n[… lines may be missing here")
    assert before == lines(0, 3)
    assert after.partition("…]\n")[2] == lines(7, 9)


async def test_an_absent_store_stops_the_reading_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    harness = ArchiveHarness(store)
    log = harness.starts()
    for number in range(40):
        log.write(BEGUN + number, b"%030d" % number * 1000 + b"\n")
    async with harness.archiver() as archiver:
        store.is_away = True
        archiver.observe(pod())
        await asyncio.sleep(0.1)
        assert harness.follower.sent == 0
        store.is_away = False
        await until("something is read", lambda: bool(store.objects))
        store.is_away = True
        log.entries *= 2
        await asyncio.sleep(0.1)
        log.entries = log.entries[:40]
        log.is_running = False
        archiver.observe(pod(**ENDED))
        store.is_away = False
        await until("the log is complete", harness.is_complete)
    waits = [record for record in caplog.records if "Logs wait for their archive" in record.message]
    assert len(waits) == 1


async def test_a_log_that_is_complete_is_not_asked_for_again(harness: ArchiveHarness) -> None:
    log = harness.starts()
    write(log, 0, 3)
    log.is_running = False
    for _ in range(2):
        async with harness.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is complete", harness.is_complete)
            archiver.observe(pod(**ENDED))
            await asyncio.sleep(0.05)
    assert harness.follower.requests == ["nightly-1-a"]


async def test_pods_of_others_and_pods_that_never_began_are_left_alone(harness: ArchiveHarness) -> None:
    stranger = replace(pod(), pipeline="")
    async with harness.archiver() as archiver:
        archiver.observe(stranger)
        archiver.observe(pod(phase="Failed", status_reason="Evicted"))
        await asyncio.sleep(0.05)
    assert harness.follower.requests == []


async def test_a_pod_first_seen_after_its_end_is_followed(harness: ArchiveHarness) -> None:
    log = harness.starts()
    write(log, 0, 3)
    log.is_running = False
    async with harness.archiver() as archiver:
        archiver.observe(pod(exit_code=137, terminated_reason="OOMKilled"))
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 3)


async def test_a_mistake_in_here_ends_neither_the_operator_nor_the_log(
    harness: ArchiveHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = harness.starts()
    write(log, 0, 3)
    log.is_running = False
    with monkeypatch.context() as patch:
        patch.setattr(harness.follower, "stream", None)
        async with harness.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("it is logged", lambda: "is not archived yet" in caplog.text)
            patch.undo()
            await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 3)


async def test_waiting_logs_get_their_turn_oldest_first(harness: ArchiveHarness) -> None:
    harness.options["max_streams"] = 1
    names = [f"pod-{number:02}" for number in range(9)]
    harness.starts("first")
    async with harness.archiver() as archiver:
        archiver.observe(pod("first"))
        await until("the first is followed", lambda: bool(harness.follower.open))
        for number, name in reversed(list(enumerate(names))):
            write(harness.starts(name), 0, 2)
            archiver.observe(pod(name, running=True, created=100 + number))
        for name, log in harness.follower.logs.items():
            log.is_running = False
            archiver.observe(pod(name, **ENDED))
        await until("all are complete", lambda: all(harness.is_complete(name) for name in names))
    assert harness.follower.most_open == 1
    assert list(dict.fromkeys(harness.follower.requests)) == ["first", *names]


async def test_two_hundred_streams_stay_within_the_promised_memory() -> None:
    """256 KiB of text each, and little beside it, while the store takes nothing."""
    store = MemoryStore()
    harness = ArchiveHarness(store, flush_seconds=3600)
    names = [f"pod-{number:03}" for number in range(MAX_STREAMS + 20)]
    line = b"x" * 15_999 + b"\n"
    for name in names:
        log = harness.starts(name)
        log.entries = [(BEGUN + number, line) for number in range(60)]
    tracemalloc.start()
    try:
        async with harness.archiver() as archiver:
            for name in names:
                archiver.observe(pod(name))
            await until("all slots are taken", lambda: len(harness.follower.open) == MAX_STREAMS)
            store.is_away = True
            await until("all have stopped", lambda: harness.follower.sent >= 200 * 240_000, seconds=30)
            await asyncio.sleep(0.2)
            assert harness.follower.most_open == MAX_STREAMS
            _, peak = tracemalloc.get_traced_memory()
            stored = sum(len(data) for data, _ in store.objects.values())
    finally:
        tracemalloc.stop()
    assert peak - stored < MAX_STREAMS * 400_000, peak
