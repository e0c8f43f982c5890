import json
from pathlib import Path

import pytest

from benchmarks.side_by_side.document import COMMITTED, PARTS, benchmarks_part, outdated, readme_part, replaced
from benchmarks.side_by_side.figures import CONTENDERS, FIGURES, Samples, results
from testcluster.locations import CHECKOUT

BEGIN = "<!-- side by side: written by `python -m benchmarks.side_by_side.document` -->"
END = "<!-- end of side by side -->"


def found() -> dict[str, object]:
    samples = {name: Samples() for name in CONTENDERS}
    for figure in FIGURES:
        samples["ours"].values[figure.key] = [1.0]
        samples["airflow"].values[figure.key] = [2.0]
    del samples["airflow"].values["deploy_50th_ms"]
    samples["airflow"].reasons["deploy_50th_ms"] = "stopped after 38 deploys"
    versions = ("apache-airflow", "openmetadata-managed-apis", "openmetadata-ingestion")
    machine = ("kubernetes", "python", "cores", "memory_gib", "commit")
    return {
        "figures": results(samples),
        "notes": {"airflow": ["stopped after 38 deploys"], "ours": []},
        "loads": {"airflow": {"idle": 0.5, "runs": 3.5}, "ours": {"idle": 1.5}},
        "versions": dict.fromkeys(versions, "9.9"),
        "machine": dict.fromkeys(machine, "7"),
        "runs": 3,
        "seconds": 800,
    }


def test_the_documents_have_the_figures_of_the_committed_results() -> None:
    assert list(outdated(CHECKOUT, COMMITTED)) == [], "run: python -m benchmarks.side_by_side.document"


def test_a_document_is_outdated_when_the_results_change(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "results.json").write_text(json.dumps(found()))
    for name in PARTS:
        (tmp_path / name).write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    texts = outdated(tmp_path, tmp_path / "results.json")

    assert set(texts) == {tmp_path / name for name in PARTS}
    assert all(text.startswith("before\n") and text.endswith("\nafter\n") for text in texts.values())
    for path, text in texts.items():
        path.write_text(text)
    assert outdated(tmp_path, tmp_path / "results.json") == {}


def test_a_document_without_the_two_comments_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no"):
        replaced("nothing here", "part")


def test_the_readme_has_four_reasons_and_the_other_page_all_figures() -> None:
    assert readme_part(found()).count("\n- **") == 3  # and the first line
    assert "take 1 MiB of memory when idle; Airflow takes 2 MiB." in readme_part(found())
    assert "in a row takes 1 ms; with Airflow (not measured)." in readme_part(found())
    assert "(first request after 2 s; here 1 s)" in readme_part(found())
    assert benchmarks_part(found()).count("\n| ") == len(FIGURES)


def test_the_reasons_hold_for_the_committed_results() -> None:
    figures = json.loads(COMMITTED.read_text())["figures"]
    ahead = ["idle_mib", "deployed_cpu_percent", "deploy_50th_ms", "kill_to_gone_s"]
    assert all(figures[key]["ratio"] > 2 for key in ahead)
    assert figures["trigger_to_first_request_s"]["ratio"] < 1


def test_the_load_during_the_measurement_is_reported() -> None:
    assert "load before the parts 0.5 to 3.5;" in benchmarks_part(found())


def test_the_point_at_which_airflow_was_stopped_is_reported() -> None:
    assert "- airflow: stopped after 38 deploys (`deploy_50th_ms`)" in benchmarks_part(found())
