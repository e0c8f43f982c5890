"""Writer and reader together: what is archived, and what is still to be read from the pod, make the log."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.errors import LogRangeError, NotFound, StoreError
from ingestion_operator.logs import writer as writer_module
from ingestion_operator.logs.layout import AttemptKey, RunKey
from ingestion_operator.logs.pages import decode
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.logs.retention import Swept, sweep
from ingestion_operator.logs.writer import SegmentWriter
from testing.fake_clock import FakeClock
from testing.kubelet_log import NANOSECONDS, KubeletLog
from testing.log_strategies import T0, logs, pieces
from testing.memory_store import MemoryStore

RUN = RunKey("ingestion", "shop-nightly", "0c6f3a3e-1a2b-4c3d-8e4f-5a6b7c8d9e0f")
ATTEMPT = AttemptKey(RUN, "shop-nightly-1-abcde")


def lines(count: int, text: str = "line") -> KubeletLog:
    log = KubeletLog()
    for number in range(count):
        log.write(T0 + number * NANOSECONDS, f"{text} {number}\n".encode())
    return log


def resumed(store: MemoryStore) -> SegmentWriter:
    """What a new process writes with."""
    return SegmentWriter(store, ATTEMPT, ArchiveReader(store).find(ATTEMPT))


def archive(store: MemoryStore, log: KubeletLog, *, end: bool = True) -> None:
    writer = resumed(store)
    writer.feed(log.serve(writer.cursor.position.since))
    writer.flush(end=end)


def rest_of(reader: ArchiveReader, log: KubeletLog) -> list[str]:
    """The text that the pod has and the archive has not."""
    cursor = SegmentWriter(MemoryStore(), ATTEMPT, reader.find(ATTEMPT)).cursor
    return list(decode([cursor.feed(log.serve(cursor.position.since))]))


def whole(reader: ArchiveReader, log: KubeletLog, size: int) -> str:
    """The log, page by page."""
    texts, index, total = [], 0, 1
    while index < total:
        page = reader.page(ATTEMPT, reader.find(ATTEMPT), index, rest_of(reader, log), size=size)
        texts.append(page.text)
        index, total = index + 1, page.total
    assert all(len(text) == size for text in texts[:-1])
    return "".join(texts)


@given(st.data(), logs(), st.integers(1, 9), st.integers(1, 40))
def test_archive_and_pod_make_the_log_after_any_kill(
    data: st.DataObject, log: KubeletLog, page_size: int, segment_bytes: int
) -> None:
    store = MemoryStore()
    reader = ArchiveReader(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "SEGMENT_BYTES", segment_bytes)
        for _ in range(data.draw(st.integers(0, 3))):
            writer = resumed(store)
            answer = log.serve(writer.cursor.position.since)
            for piece in data.draw(pieces(answer[: data.draw(st.integers(0, len(answer)))])):
                writer.feed(piece)
                if writer.is_full or data.draw(st.booleans()):
                    writer.flush()
            # Killed: whatever was not flushed is lost.
        assert whole(reader, log, page_size) == log.text.decode(errors="replace")
        if data.draw(st.booleans()):
            archive(store, log)
            assert reader.find(ATTEMPT).is_complete
            assert whole(reader, KubeletLog(), page_size) == log.text.decode(errors="replace")


def test_a_log_that_grows_slowly_stays_one_object() -> None:
    store, log = MemoryStore(), lines(50)
    writer = resumed(store)
    for item in log.served(None):
        writer.feed(item)
        writer.flush()
    assert len(store.objects) == 1
    assert whole(ArchiveReader(store), KubeletLog(), 1000) == log.text.decode()


def test_a_full_segment_is_left_alone_and_the_next_one_begun() -> None:
    store = MemoryStore()
    writer = resumed(store)
    for item in lines(12, "x" * 100_000).served(None):
        writer.feed(item)
        if writer.is_full:
            writer.flush()
    writer.flush(end=True)
    log = ArchiveReader(store).find(ATTEMPT)
    assert [segment.number for segment in log.segments] == list(range(len(log.segments)))
    assert len(log.segments) == 5
    assert log.is_complete


def test_a_partial_character_is_read_whole_by_the_next_process() -> None:
    store, log = MemoryStore(), lines(1, "€uro")
    answer = log.serve(None)
    writer = resumed(store)
    writer.feed(answer[: answer.index("€".encode()) + 2])
    writer.flush()
    archive(store, log)
    assert whole(ArchiveReader(store), KubeletLog(), 1000) == "€uro 0\n"


def test_a_store_that_was_away_gets_what_it_missed_once() -> None:
    store, log = MemoryStore(), lines(3)
    writer = resumed(store)
    writer.feed(log.serve(None))
    store.is_away = True
    for _ in range(3):
        with pytest.raises(StoreError):
            writer.flush()
    store.is_away = False
    writer.flush(end=True)
    assert whole(ArchiveReader(store), KubeletLog(), 1000) == log.text.decode()


def test_a_replaced_segment_that_stays_is_harmless() -> None:
    store, log = MemoryStore(), lines(6)
    writer = resumed(store)
    kept: dict[str, tuple[bytes, datetime]] = {}
    for item in log.served(None):
        writer.feed(item)
        writer.flush()
        kept |= store.objects
    store.objects = kept
    assert whole(ArchiveReader(store), KubeletLog(), 7) == log.text.decode()


def test_a_page_reads_the_segments_that_it_touches_alone() -> None:
    store = MemoryStore()
    for count in range(1, 9):
        archive(store, lines(count * 10), end=False)
    reader = ArchiveReader(store)
    found = reader.find(ATTEMPT)
    assert len(found.segments) == 8
    page = reader.page(ATTEMPT, found, 1, size=100)
    assert len(store.reads) == 2
    assert page.text == lines(80).text.decode()[100:200]
    assert page.total == -(-len(lines(80).text) // 100)


@pytest.mark.parametrize("index", [2, 100, -1])
def test_a_page_that_is_not_there_names_those_that_are(index: int) -> None:
    store = MemoryStore()
    archive(store, lines(2))
    reader = ArchiveReader(store)
    with pytest.raises(LogRangeError, match="pages 0 to 1"):
        reader.page(ATTEMPT, reader.find(ATTEMPT), index, size=8)


def test_an_attempt_without_a_log_has_none() -> None:
    assert ArchiveReader(MemoryStore()).find(ATTEMPT).segments == ()


def test_a_segment_replaced_meanwhile_is_reported() -> None:
    store = MemoryStore()
    archive(store, lines(2), end=False)
    reader = ArchiveReader(store)
    found = reader.find(ATTEMPT)
    store.objects.clear()
    with pytest.raises(NotFound):
        reader.page(ATTEMPT, found, 0)


@pytest.mark.parametrize("damage", [b"", b"no gzip", b"\x1f\x8b\x08\x00"])
def test_a_damaged_segment_is_a_fault_of_the_store(damage: bytes) -> None:
    store = MemoryStore()
    archive(store, lines(2))
    store.objects = {key: (damage, modified) for key, (_, modified) in store.objects.items()}
    reader = ArchiveReader(store)
    with pytest.raises(StoreError, match="damaged"):
        reader.page(ATTEMPT, reader.find(ATTEMPT), 0)


class TestTail:
    def test_it_is_the_last_characters_over_segments(self) -> None:
        store = MemoryStore()
        for count in range(1, 9):
            archive(store, lines(count * 10), end=False)
        assert ArchiveReader(store).tail(ATTEMPT, 150) == lines(80).text.decode()[-150:]
        assert len(store.reads) == 2

    def test_it_is_all_of_a_short_log_and_nothing_of_none(self) -> None:
        store = MemoryStore()
        assert ArchiveReader(store).tail(ATTEMPT, 100) == ""
        archive(store, lines(2))
        assert ArchiveReader(store).tail(ATTEMPT, 100) == "line 0\nline 1\n"

    def test_a_segment_replaced_while_it_is_read_is_found_again(self) -> None:
        store, log = MemoryStore(), lines(2)
        writer = resumed(store)
        writer.feed(log.served(None)[0])
        writer.flush()

        def replace() -> None:
            writer.feed(log.served(None)[1])
            writer.flush()

        store.before_read = replace
        assert ArchiveReader(store).tail(ATTEMPT, 100) == log.text.decode()


def test_attempts_are_in_the_order_in_which_they_were_written() -> None:
    store = MemoryStore()
    for pod, count in (("z", 1), ("a", 5), ("m", 3)):
        writer = SegmentWriter(store, AttemptKey(RUN, pod), ArchiveReader(store).find(AttemptKey(RUN, pod)))
        writer.feed(lines(count).serve(None))
        writer.flush(end=True)
    assert [attempt.pod for attempt in ArchiveReader(store).attempts(RUN)] == ["z", "m", "a"]


class TestSweep:
    def test_a_run_is_deleted_whole_once_its_newest_object_is_old(self) -> None:
        clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
        store = MemoryStore(clock)
        archive(store, lines(5), end=False)
        other = AttemptKey(RunKey("ingestion", "shop-nightly", "other"), "p")
        for segment, days in (("00000000-1-5-5.gz", 0), ("00000001-1-6-5.gz", 20)):
            clock.moment = datetime(2026, 3, 1 + days, tzinfo=UTC)
            store.put(f"{other.folder}/{segment}", b"12345")
        assert sweep(store, datetime(2026, 3, 10, tzinfo=UTC)).runs == 1
        assert sorted(store.objects) == [f"{other.folder}/0000000{n}-1-{5 + n}-5.gz" for n in (0, 1)]
        assert sweep(store, datetime(2026, 3, 10, tzinfo=UTC)) == Swept()
        assert sweep(store, datetime(2026, 3, 22, tzinfo=UTC)) == Swept(runs=1, objects=2, size=10)
        assert not store.objects

    def test_what_is_none_of_the_archives_is_left_alone(self) -> None:
        store = MemoryStore(FakeClock(datetime(2020, 1, 1, tzinfo=UTC)))
        store.put("lost+found/x", b"")
        store.put(f"{ATTEMPT.folder}/notes.txt", b"")
        assert sweep(store, datetime(2026, 1, 1, tzinfo=UTC)) == Swept()
        assert len(store.objects) == 2


def test_a_writer_holds_no_more_than_a_segment_and_a_chunk() -> None:
    store, log = MemoryStore(), lines(400, "é" * 5000)
    items = log.served(None)
    writer = resumed(store)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for item in items:
            writer.feed(item)
            if writer.is_full:
                writer.flush()
        store.objects.clear()
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held - before < 400_000
