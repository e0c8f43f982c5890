from pathlib import Path

import pytest

from ingestion_runner.memory import memory_limit_note


@pytest.mark.parametrize(
    ("limit", "events", "words"),
    [
        ("1073741824", "low 0\noom 1\noom_kill 1\n", ": the kernel found no memory for it within 1024 MiB"),
        ("max", "oom_kill 2\n", ": the kernel found no memory for it"),
        ("1073741824", "oom_kill 0\n", "the kernel counted no out-of-memory kill within 1024 MiB"),
    ],
)
def test_note_reports_what_the_kernel_counted(tmp_path: Path, limit: str, events: str, words: str) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.events").write_text(events)

    assert memory_limit_note(tmp_path).endswith(words)


def test_note_has_the_likely_cause_without_kernel_counters(tmp_path: Path) -> None:
    assert memory_limit_note(tmp_path) == ", most likely because it found no memory"
