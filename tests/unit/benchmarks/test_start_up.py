import json

import pytest

from benchmarks.start_up import Start, figures, last_line, start_of, table


def call(at: float, agent: str) -> dict[str, object]:
    return {"at": at, "headers": {"User-Agent": agent}}


def test_the_first_request_is_the_librarys() -> None:
    calls = [call(99.0, "postgres_metadata"), call(101.5, "ingestion-runner"), call(103.0, "postgres_metadata")]

    start = start_of(calls, triggered=100.0, closed=107.5)

    assert start == Start(trigger_to_first_request_s=3.0, trigger_to_finished_s=7.5)


def test_without_a_request_of_the_library_a_figure_is_missing() -> None:
    with pytest.raises(ValueError, match="min"):
        start_of([call(101.5, "ingestion-runner")], triggered=100.0, closed=107.5)


def test_the_last_line_has_the_promised_keys_with_medians() -> None:
    starts = {"ours": [Start(1.0, 5.0), Start(9.0, 6.0), Start(2.0, 7.0)], "naive": [Start(4.0, 8.0)]}
    probe = {"import_s": 2.0, "rss_mb": 210.0, "exit_s": 0.1}
    probes = {"ours": [probe], "naive": [probe | {"import_s": 4.0}]}

    found = figures({"ours": 640.4, "naive": 650.0}, starts, probes, {"cold": [5.0, 3.0, 4.0], "warm_pool": [1.5]})

    reported = json.loads(last_line(found))
    assert reported["image_mb"] == {"ours": 640, "naive": 650}
    assert reported["import_s"] == {"ours": 2.0, "naive": 4.0}
    assert reported["trigger_to_first_request_s"] == {"ours": 2.0, "naive": 4.0}
    assert reported["test_connection_s"] == {"cold": 4.0, "warm_pool": 1.5}
    assert {"rss_mb", "exit_s", "trigger_to_finished_s"} < set(reported)
    assert "test_connection_s, cold" in table(found)
    assert "test_connection_s, warm_pool" in table(found)
