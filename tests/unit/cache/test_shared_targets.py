"""Targets of runs are shared between records; the table of them is cleared while other threads read it."""

import pytest

from ingestion_operator.api.status import RunTarget
from ingestion_operator.runs import jobs
from ingestion_operator.runs.jobs import read_job
from testing.objects import job


class ClearedMeanwhile(dict[bytes, RunTarget | None]):
    """Loses an entry right after it was found, as when another thread clears it."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found


def test_a_job_is_read_while_the_table_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job that could not be read would be absent from the cache, and its run hidden."""
    body = job()
    body["metadata"]["resourceVersion"] = "1"
    monkeypatch.setattr(jobs, "_targets", ClearedMeanwhile())
    assert [read_job(body).name for _ in range(3)] == [body["metadata"]["name"]] * 3
