import io
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.log_stream import MAX_LINE_BYTES, TAIL_CHARACTERS, TAIL_LINES, LogStream
from ingestion_runner.masking import MASK, Masker


def stream(*secrets: str) -> tuple[LogStream, Callable[[], str]]:
    sink = io.BytesIO()
    return LogStream(sink, Masker(secrets)), lambda: sink.getvalue().decode()


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_log_passes_on_the_same_text_in_any_chunks(chunks: list[bytes]) -> None:
    whole, written_whole = stream()
    pieces, written_in_pieces = stream()

    whole.feed(b"".join(chunks))
    whole.close()
    for chunk in chunks:
        pieces.feed(chunk)
    pieces.close()

    assert written_in_pieces() == written_whole()


def test_log_passes_on_a_line_as_soon_as_it_is_complete() -> None:
    log, written = stream()

    log.feed(b"first\nsec")
    assert written() == "first\n"

    log.feed(b"ond\n")
    assert written() == "first\nsecond\n"


def test_log_masks_a_secret_that_comes_in_two_chunks() -> None:
    log, written = stream("hunter2hunter")

    log.feed(b"password hunter2h")
    log.feed(b"unter\n")

    assert written() == f"password {MASK}\n"


def test_log_cuts_a_line_without_end_and_goes_on_with_the_next() -> None:
    log, written = stream()

    for _ in range(40):
        log.feed(b"x" * (MAX_LINE_BYTES // 10))
    log.feed(b"\nnext\n")

    lines = written().splitlines()
    assert len(lines) == 2
    assert len(lines[0]) <= MAX_LINE_BYTES
    assert lines[0].endswith("[line cut here]")
    assert lines[1] == "next"


def test_log_shows_no_half_of_a_secret_where_a_line_is_cut() -> None:
    secret = "hunter2" * 100
    log, written = stream(secret)

    log.feed(b"x" * (MAX_LINE_BYTES - 100) + secret.encode() + b"\n")

    assert "hunter2" not in written()


def test_log_keeps_the_last_lines_without_colours() -> None:
    log, _ = stream()

    log.feed(b"".join(b"\x1b[31mline %d\x1b[0m\n\n" % number for number in range(200)))

    assert log.tail().splitlines() == [f"line {number}" for number in range(200 - TAIL_LINES, 200)]


@given(st.lists(st.text(max_size=3000), max_size=100))
def test_tail_is_bounded(lines: list[str]) -> None:
    log, _ = stream()

    log.feed("\n".join(lines).encode("utf-8", "replace"))

    assert len(log.tail()) <= TAIL_CHARACTERS


def test_log_continues_without_a_reader() -> None:
    class Closed(io.BytesIO):
        def write(self, _: object) -> int:
            raise BrokenPipeError

    log = LogStream(Closed(), Masker())
    log.feed(b"one\n")
    log.feed(b"two\n")

    assert log.tail() == "one\ntwo"
