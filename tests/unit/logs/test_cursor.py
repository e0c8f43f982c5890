from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.logs.cursor import START, LogCursor, Position
from testing.kubelet_log import NANOSECONDS, KubeletLog, stamp
from testing.log_strategies import T0, logs, pieces

BEGUN = datetime.fromtimestamp(T0 // NANOSECONDS, UTC)


@given(st.data(), logs())
def test_any_log_in_any_pieces_loses_its_times_and_nothing_else(data: st.DataObject, log: KubeletLog) -> None:
    cursor = LogCursor()
    assert b"".join(cursor.feed(piece) for piece in data.draw(pieces(log.serve(None)))) == log.text
    assert cursor.error == ""


@given(st.data(), logs())
def test_reading_continues_exactly_after_each_interruption(data: st.DataObject, log: KubeletLog) -> None:
    cursor, taken = LogCursor(), b""
    for _ in range(data.draw(st.integers(0, 4))):
        cursor.begin()
        answer = log.serve(cursor.position.since)
        for piece in data.draw(pieces(answer[: data.draw(st.integers(0, len(answer)))])):
            taken += cursor.feed(piece)
        if data.draw(st.booleans()):
            cursor = LogCursor(cursor.position)  # another program goes on
    cursor.begin()
    taken += cursor.feed(log.serve(cursor.position.since))
    assert taken == log.text


@given(logs(), st.integers(0, 12))
def test_what_is_read_twice_is_returned_once(log: KubeletLog, at: int) -> None:
    cursor = LogCursor()
    items = log.served(None)
    cursor.feed(b"".join(items[:at]))
    place = cursor.position
    cursor.begin()
    cursor.feed(b"".join(items[:at]))
    assert cursor.position == place


def test_rotated_lines_are_a_gap_that_is_reported() -> None:
    log = KubeletLog()
    for second in range(5):
        log.write(T0 + second * NANOSECONDS, b"line %d\n" % second)
    cursor = LogCursor()
    first = cursor.feed(b"".join(log.served(None)[:2]))
    log.rotate(keep=1)
    cursor.begin()
    rest = cursor.feed(log.serve(cursor.position.since))
    assert first == b"line 0\nline 1\n"
    assert "\n[… lines may be missing here, after 2025-11-24T22:00:01Z and before" in rest.decode()
    assert rest.endswith(b"\xe2\x80\xa6]\nline 4\n")
    assert cursor.position == Position(T0 + 4 * NANOSECONDS, 7)


def test_a_rotation_that_took_only_what_was_known_is_not_a_gap() -> None:
    log = KubeletLog()
    log.write(T0, b"a\n")
    log.write(T0 + 1, b"b\n")
    cursor = LogCursor()
    cursor.feed(log.serve(None))
    log.rotate(keep=1)
    log.write(T0 + 2, b"c\n")
    cursor.begin()
    assert cursor.feed(log.serve(cursor.position.since)) == b"c\n"


@pytest.mark.parametrize(("after", "is_gap"), [(1, False), (59, False), (61, True)])
def test_a_late_first_line_means_that_others_are_missing(after: int, is_gap: bool) -> None:
    cursor = LogCursor(started_at=BEGUN)
    taken = cursor.feed(stamp(T0 + after * NANOSECONDS) + b"late\n")
    assert (b"missing here, from the start" in taken) is is_gap
    assert taken.endswith(b"late\n")


def test_a_gap_is_reported_once_despite_an_interruption() -> None:
    answer = stamp(T0 + 61 * NANOSECONDS) + b"late\n"
    cursor = LogCursor(started_at=BEGUN)
    assert b"missing" in cursor.feed(answer)
    again = LogCursor(cursor.position, started_at=BEGUN)
    assert again.feed(answer) == b""


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+02:00", "-09:30"])
def test_times_are_understood_in_every_zone(zone: str) -> None:
    hours = {"Z": 0.0, "+00:00": 0.0, "+02:00": 2.0, "-09:30": -9.5}[zone]
    local = f"{BEGUN + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}.000000007{zone} a\n"
    cursor = LogCursor()
    assert cursor.feed(local.encode()) == b"a\n"
    assert cursor.position == Position(T0 + 7, 2)


def test_the_kubelets_own_words_are_not_part_of_the_log() -> None:
    cursor = LogCursor()
    assert cursor.feed(stamp(T0) + b"a\nfailed to create fsnotify watcher: too many open files") == b"a\n"
    assert cursor.error == "failed to create fsnotify watcher: too many open files"
    cursor.begin()
    cursor.feed(stamp(T0) + b"a\n")
    assert cursor.error == ""


def test_a_short_text_without_a_line_break_is_an_error_too() -> None:
    cursor = LogCursor()
    assert cursor.feed(b"no such file") == b""
    assert cursor.error == "no such file"


def test_the_rest_of_a_line_that_began_before_is_known_already() -> None:
    log = KubeletLog()
    log.write(T0 + 900_000_000, b"long ")  # the line before begins in an earlier second than is asked for
    log.write(T0 + 2 * NANOSECONDS, b"line\n")
    log.write(T0 + 2 * NANOSECONDS + 5, b"b\n")
    cursor = LogCursor()
    cursor.feed(log.serve(None))
    answer = log.serve(cursor.position.since)
    assert answer.startswith(b"line\n")
    log.write(T0 + 3 * NANOSECONDS, b"c\n")
    cursor.begin()
    assert cursor.feed(log.serve(cursor.position.since)) == b"c\n"
    assert cursor.error == ""


def test_a_resumed_log_starts_a_second_earlier() -> None:
    assert START.since is None
    assert Position(T0 + 999, 5).since == BEGUN - timedelta(seconds=1)
