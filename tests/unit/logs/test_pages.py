import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.errors import LogRangeError
from ingestion_operator.logs.pages import page_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def pieces(draw: st.DrawFn, raw: bytes) -> list[bytes]:
    """The same bytes, cut anywhere, also inside of characters."""
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


@given(st.data(), texts, st.integers(1, 9))
def test_the_pages_of_any_log_in_any_pieces_make_the_log(data: st.DataObject, text: str, size: int) -> None:
    raw = text.encode()
    first = page_of(data.draw(pieces(raw)), 0, size=size)
    pages = [page_of(data.draw(pieces(raw)), index, size=size) for index in range(first.total)]
    assert "".join(page.text for page in pages) == text
    assert {page.total for page in pages} == {first.total}
    assert all(len(page.text) == size for page in pages[:-1])


@given(st.data(), st.binary(max_size=60), st.integers(1, 9))
def test_bytes_that_are_not_text_are_always_replaced_alike(data: st.DataObject, raw: bytes, size: int) -> None:
    total = page_of([raw], 0, size=size).total
    joined = "".join(page_of(data.draw(pieces(raw)), index, size=size).text for index in range(total))
    assert joined == raw.decode(errors="replace")


@pytest.mark.parametrize("index", [1, 2, 10**9, -1])
def test_the_error_of_a_missing_page_names_the_pages(index: int) -> None:
    with pytest.raises(LogRangeError, match="pages 0 to 0"):
        page_of([b"abc"], index, size=3)


def test_an_empty_log_has_one_empty_page() -> None:
    page = page_of([], 0)
    assert (page.text, page.total) == ("", 1)


def test_a_large_log_is_read_in_constant_memory() -> None:
    def log() -> Iterator[bytes]:
        piece = b"a line of a log, like so many others\n" * 1000
        for _ in range(3000):
            yield bytes(piece)

    tracemalloc.start()
    try:
        page = page_of(log(), 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(page.text), page.total) == (2_000_000, 56)
    assert peak < 10_000_000
