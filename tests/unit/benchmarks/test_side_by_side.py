import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.side_by_side.airflow import all_healthy
from benchmarks.side_by_side.figures import CONTENDERS, FIGURES, Samples, last_line, markdown, missing, results, summary
from benchmarks.side_by_side.footprint import Cost, Stat, descendants, parse_stat, total
from benchmarks.side_by_side.judging import ended_run, first_request, has_log_line, too_much
from benchmarks.side_by_side.versions import versions

FQN = "shop.run-0"


def some_samples() -> dict[str, Samples]:
    samples = {name: Samples() for name in CONTENDERS}
    for figure in FIGURES:
        samples["ours"].values[figure.key] = [3.0, 1.0, 2.0]
        samples["airflow"].values[figure.key] = [8.0]
        if not figure.no_floor:
            samples["floor"].values[figure.key] = [0.5, 0.7]
    return samples


def test_a_figure_has_min_median_max_and_count() -> None:
    assert summary([3.0, 1.0, 2.25]) == {"min": 1.0, "median": 2.25, "max": 3.0, "n": 3}


def test_figures_are_rounded_to_three_digits_but_not_below_one() -> None:
    assert summary([1697.34, 0.012345, 21.4567]) == {"min": 0.0123, "median": 21.5, "max": 1697.0, "n": 3}


def test_without_samples_a_figure_is_missing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summary([])


def test_the_last_line_has_every_figure_of_every_contender() -> None:
    reported = json.loads(last_line(results(some_samples())))

    assert list(reported) == [figure.key for figure in FIGURES]
    assert reported["kill_ms"] == {
        "ours": {"min": 1.0, "median": 2.0, "max": 3.0, "n": 3},
        "airflow": {"min": 8.0, "median": 8.0, "max": 8.0, "n": 1},
        "floor": {"min": 0.5, "median": 0.6, "max": 0.7, "n": 2},
        "ratio": 4.0,
    }


def test_a_missing_floor_is_null_with_its_reason() -> None:
    row = results(some_samples())["cold_start_s"]

    assert row["floor"] is None
    assert row["reasons"] == {"floor": "the floor runs no process of its own"}


def test_nothing_is_missing_where_all_is_there_or_explained() -> None:
    samples = some_samples()
    del samples["airflow"].values["deploy_50th_ms"]
    samples["airflow"].reasons["deploy_50th_ms"] = "stopped after 38 deploys: load 41"

    found = results(samples)

    assert missing(found) == []
    assert found["deploy_50th_ms"]["ratio"] is None


def test_a_figure_without_samples_or_reason_is_missing() -> None:
    samples = some_samples()
    del samples["ours"].values["kill_to_gone_s"]
    del samples["floor"].values["kill_to_gone_s"]

    assert missing(results(samples)) == ["kill_to_gone_s of ours", "kill_to_gone_s of floor"]


def test_the_table_has_a_row_for_each_figure_with_its_spread() -> None:
    lines = markdown(results(some_samples())).splitlines()

    assert len(lines) == 2 + len(FIGURES)
    assert "| kill is answered (ms) | 2 <sub>1 to 3</sub> | 8 | 0.6 <sub>0.5 to 0.7</sub> | 4 |" in lines
    assert any(line.startswith("| cold start") and line.endswith("| - | 4 |") for line in lines)


def test_the_table_can_be_cut_to_some_rows() -> None:
    assert len(markdown(results(some_samples()), {"kill_ms"}).splitlines()) == 3


def test_a_process_may_be_called_anything() -> None:
    line = "42 (a) b (c) S 7 42 40 0 -1 0 0 0 0 0 11 22 33 44 20 0 1"

    assert parse_stat(line) == Stat(state="S", parent=7, session=40, ticks=11 + 22 + 33 + 44)


def test_descendants_and_orphans_are_found() -> None:
    stats = {
        1: Stat("S", parent=0, session=1, ticks=0),
        10: Stat("S", parent=1, session=10, ticks=0),
        11: Stat("S", parent=10, session=10, ticks=0),
        12: Stat("S", parent=11, session=12, ticks=0),
        13: Stat("S", parent=1, session=10, ticks=0),  # its parent has ended
        14: Stat("S", parent=1, session=14, ticks=0),
    }

    assert descendants([10], stats) == {10, 11, 12, 13}


def test_components_add_up() -> None:
    assert total({"a": Cost(1.5, 0.25, 2), "b": Cost(2.25, 1.0, 1)}) == Cost(3.8, 1.25, 3)


def call(at: float, path: str, agent: str = "postgres_metadata") -> dict[str, object]:
    return {"at": at, "path": f"/api/v1/{path}", "headers": {"user-agent": agent}}


def test_the_first_request_is_the_workflows_own() -> None:
    calls = [
        call(99.0, f"services/ingestionPipelines/name/{FQN}"),  # of the run before
        call(100.5, "system/version", "python-requests"),  # of the DAG processor
        call(101.0, f"services/ingestionPipelines/{FQN}/pipelineStatus", "ingestion-operator"),
        call(101.5, f"services/ingestionPipelines/{FQN}/pipelineStatus", "ingestion-runner"),
        call(103.0, f"services/ingestionPipelines/name/{FQN}"),
        call(104.0, f"services/ingestionPipelines/{FQN}/pipelineStatus"),
    ]

    assert first_request(calls, FQN, triggered=100.0) == 103.0


def test_an_answer_without_a_log_is_not_a_log_line() -> None:
    placeholder = "[None] INFO - : - ::group::Log message source details\n[None] INFO - : - ::endgroup::\n"

    assert not has_log_line(placeholder)
    assert not has_log_line("\n")
    assert not has_log_line("[Run 6ba7b810 has not started: it waits for a node]\n")
    assert has_log_line(
        placeholder + "[2026-11-29T17:44:27.241815Z] INFO - task_runner.py:2412 - ::group::Pre Execute\n"
    )
    assert has_log_line("[runner] loading openmetadata-ingestion 2.0.6.0\n")


@pytest.mark.parametrize(
    ("took", "row", "load", "mib", "reason"),
    [
        (1.0, 90.0, 12.0, 900.0, ""),
        (15.5, 90.0, 12.0, 900.0, "a deploy took 15.5 s"),
        (1.0, 151.0, 12.0, 900.0, "all of them 151 s"),
        (1.0, 90.0, 41.0, 900.0, "load 41"),
        (1.0, 90.0, 12.0, 6200.0, "6200 MiB of memory"),
    ],
)
def test_a_row_is_stopped_before_it_harms_the_machine(
    took: float, row: float, load: float, mib: float, reason: str
) -> None:
    assert too_much(took, row, load, mib) == reason


def health(heartbeat: float) -> dict[str, dict[str, str]]:
    text = datetime.fromtimestamp(heartbeat, UTC).isoformat()
    return {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": text},
        "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": text},
        "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": text},
    }


def test_airflow_is_healthy_by_heartbeats_since_its_start_alone() -> None:
    assert all_healthy(health(101.0), started=100.0)
    assert not all_healthy(health(99.0), started=100.0), "of the processes before"


def test_airflow_is_not_healthy_while_a_component_is_not() -> None:
    parts = health(101.0)
    ill = {"triggerer": {**health(101.0)["triggerer"], "status": "unhealthy"}}
    silent = {"triggerer": {"status": "healthy", "latest_triggerer_heartbeat": None}}

    assert not all_healthy(parts | ill, started=100.0)
    assert not all_healthy(parts | silent, started=100.0)
    assert not all_healthy(parts | {"metadatabase": {"status": "unhealthy"}}, started=100.0)


def test_versions_are_those_of_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "airflow.lock"
    lock.write_text(
        "apache-airflow==3.3.2 \\\n    --hash=sha256:00\napache-airflow-core==3.3.1\n"
        "openmetadata-managed-apis==2.0.6.0\nopenmetadata-ingestion==2.0.6.1\n"
    )

    assert versions(lock) == {
        "apache-airflow": "3.3.2",
        "openmetadata-managed-apis": "2.0.6.0",
        "openmetadata-ingestion": "2.0.6.1",
    }


def test_of_several_runs_the_newest_that_has_ended_counts() -> None:
    runs = [{"runId": "a", "state": "success"}, {"runId": "b", "state": "stopped"}, {"runId": "c", "state": "running"}]

    assert ended_run(runs) == runs[1]
    assert ended_run(runs[2:]) is None
