from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.runs.truncate import cut


@given(st.text(max_size=200), st.integers(3, 100))
def test_a_text_becomes_one_line_of_at_most_the_limit(text: str, limit: int) -> None:
    line = cut(text, limit)
    assert len(line.encode()) <= limit
    assert line == " ".join(line.split()) or line.endswith("…")
    assert not set(line) & set("\n\r\t")


@given(st.text("abc é🌙", max_size=50))
def test_a_text_that_fits_is_kept_word_for_word(text: str) -> None:
    assert cut(text, 1000).split() == text.split()


def test_a_cut_text_ends_in_an_ellipsis_between_characters() -> None:
    assert cut("éééé", 7) == "éé…"
    assert cut("éééé", 8) == "éééé"
