"""Reloading of a value from files that are replaced."""

from pathlib import Path

import pytest

from ingestion_operator.runtime.reloading import Reloading


class Source:
    """A file, what was reported about it, and how often it was read."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "value"
        self.reads = 0
        self.reloaded: list[str] = []
        self.errors: list[str] = []
        self.replace("first")

    def replace(self, text: str) -> None:
        """Replace the file as the kubelet does: the inode changes."""
        beside = self.file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.file)

    def read(self) -> str:
        self.reads += 1
        text = self.file.read_text()
        if text == "invalid":
            raise OSError("invalid")
        return text

    def reloading(self, *, check_seconds: float = 0.0, initial: str | None = None) -> Reloading[str]:
        return Reloading(
            lambda: [self.file],
            self.read,
            on_reload=self.reloaded.append,
            on_error=lambda error: self.errors.append(str(error)),
            check_seconds=check_seconds,
            initial=initial,
        )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def test_an_unchanged_file_is_read_once(source: Source) -> None:
    value = source.reloading()
    assert [value.current(), value.current()] == ["first", "first"]
    assert source.reads == 1


def test_an_initial_value_is_not_read_again(source: Source) -> None:
    assert source.reloading(initial="given").current() == "given"
    assert source.reads == 0


def test_a_replaced_file_is_read_and_reported_once(source: Source) -> None:
    value = source.reloading()
    source.replace("second")
    assert [value.current(), value.current()] == ["second", "second"]
    assert source.reloaded == ["second"]


def test_an_invalid_file_keeps_the_value_and_is_reported_once(source: Source) -> None:
    value = source.reloading()
    source.replace("invalid")
    assert [value.current(), value.current()] == ["first", "first"]
    assert (source.errors, source.reloaded) == (["invalid"], [])


def test_a_failed_read_of_an_unchanged_file_is_retried(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    value = source.reloading()
    source.replace("second")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", lambda _: "invalid")
        assert value.current() == "first"
    assert value.current() == "second"


def test_a_missing_file_keeps_the_value(source: Source) -> None:
    value = source.reloading()
    source.file.unlink()
    assert value.current() == "first"
    assert len(source.errors) == 1
    source.replace("third")
    assert value.current() == "third"


def test_an_error_of_the_first_read_is_raised(source: Source) -> None:
    source.replace("invalid")
    with pytest.raises(OSError, match="invalid"):
        source.reloading()


def test_the_file_is_checked_only_after_the_period(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ingestion_operator.runtime.reloading.time.monotonic", lambda: now[0])
    value = source.reloading(check_seconds=1.0)
    value.current()
    source.replace("second")
    now[0] += 0.9
    assert value.current() == "first"
    now[0] += 0.2
    assert value.current() == "second"
