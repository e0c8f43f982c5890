"""How the scale benchmark computes growth, and how it draws."""

import json
import math
import os
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.scale import document
from benchmarks.scale.growth import exponents, super_linear
from benchmarks.scale.measuring import Measured
from benchmarks.scale.plot import cpu_percent, lives, nice, svg
from benchmarks.scale.report import NIGHT, TARGETS, Before, last_line, missed, rows, table
from benchmarks.scale.timeline import Timeline
from testing.machine import Facts
from testing.process import idle_seconds, open_files, threads_of
from testing.waiting import wait_for

LINEAR = {size: {"restart_ready_s": size / 100, "calls_per_pipeline": 6.0} for size in (10, 100, 1000)}


def test_linear_growth_has_the_exponent_one() -> None:
    assert exponents(LINEAR, ["restart_ready_s", "calls_per_pipeline", "unknown"]) == {
        "restart_ready_s": 1.0,
        "calls_per_pipeline": 1.0,
    }


def test_what_is_not_a_number_is_left_out() -> None:
    assert exponents({10: {"lag": float("nan")}, 100: {"lag": 1.0}}, ["lag"]) == {}


def test_what_grows_faster_than_the_pipelines_is_named() -> None:
    assert super_linear({"even": 1.0, "noise": 1.1, "worse": 1.2}) == ["worse"]


def test_the_table_and_the_last_line_flag_what_is_super_linear() -> None:
    found = [Measured(size, {"floor_s": size**2 / 1e4, "restart_ready_s": size / 100}) for size in (10, 100)]
    lines = table(found).splitlines()
    assert next(line for line in lines if line.startswith("floor_s")).endswith("2.00 !")
    assert next(line for line in lines if line.startswith("restart_ready_s")).endswith("1.00")
    assert lines[-1].endswith("(exponent above 1.1): floor_s")
    assert lines[-2].startswith("targets missed: reads_per_reconcile, ")
    result = json.loads(last_line(found))
    assert (result["super_linear"], result["exponents"]["floor_s"], result["pipelines"]) == (["floor_s"], 2.0, 100)


def test_the_last_line_has_the_night_and_each_status() -> None:
    night = {f"night_{part}_core_s": float(at) for at, part in enumerate(NIGHT)}
    found = [
        Measured(10, {"gateway_status_p50_ms": 2.0}),
        Measured(100, {"gateway_status_p50_ms": 2.5, "gateway_status_of_one_p50_ms": 1.5} | night),
    ]
    result = json.loads(last_line(found))
    assert result["gateway_status_p50_ms"] == {"1": 1.5, "10": 2.0, "100": 2.5}
    assert result["night_api_server_core_s"] == {part: float(at) for at, part in enumerate(NIGHT)}


def test_a_target_is_missed_above_it_or_without_a_figure() -> None:
    figures = dict(TARGETS)
    assert missed(figures) == []
    del figures["writes_per_run"]
    assert missed(figures | {"restart_ready_s": 10.01}) == ["writes_per_run", "restart_ready_s"]
    assert missed(figures | {"writes_per_run": math.nan}) == ["writes_per_run"]


def test_figures_of_another_commit_get_the_last_column(tmp_path: Path) -> None:
    sizes = {"10": {"figures": {"floor_s": 9.0}}, "100": {"figures": {"floor_s": 30.0}}}
    (tmp_path / "scale_before.json").write_text(json.dumps({"commit": "abc1234", "sizes": sizes}))
    before = document.read_before(tmp_path)
    assert before == Before("abc1234", 100, {"floor_s": 30.0})
    cells = rows([Measured(100, {"floor_s": 15, "new_s": 1})], before)
    assert cells == [["", "100", "exponent", "100 at abc1234"], ["floor_s", "15", "", "30"], ["new_s", "1", "", "-"]]
    assert document.read_before(tmp_path / "none") is None


def test_the_document_gets_the_table_and_keeps_the_rest() -> None:
    machine: Facts = {"cores": 2, "memory_gib": 24, "kubernetes": "v1.37.0", "load_before": 0.1, "commit": "abc"}
    section, found = document.SECTION, [Measured(10, {"floor_s": 1.5}), Measured(100, {"floor_s": 15})]
    text = section.document.read_text()
    once = section.replaced(text, document.content(found, machine))
    assert "| floor_s | 1.5 | 15 | 1.00 |" in once.splitlines()
    assert "| --- | --- | --- | --- |" in once.splitlines()
    again = section.replaced(once, document.content([], machine))
    assert again.partition("<!-- the rest")[0] == text.partition("<!-- the rest")[0]


def test_a_pause_or_less_cpu_time_is_another_life() -> None:
    samples = [(0.0, 50.0, 1.0), (0.5, 51.0, 1.25), (1.0, 40.0, 0.25), (1.5, 41.0, 0.5), (9.0, 41.0, 0.75)]
    assert [len(life) for life in lives(samples)] == [2, 2, 1]
    assert cpu_percent(samples[:2]) == [(0.5, 50.0)]


@pytest.mark.parametrize(("value", "expected"), [(0.0015, 0.002), (1, 1), (1.2, 2), (2.5, 5), (34, 50), (99, 100)])
def test_ticks_are_at_round_numbers(value: float, expected: float) -> None:
    assert nice(value) == pytest.approx(expected)


def test_the_drawing_has_a_line_for_each_life_in_both_panels() -> None:
    operator = [(float(at), 60.0 + at, at / 4) for at in range(10)]
    gateway = [(20.0 + at, 60.0, at / 8) for at in range(5)]
    drawn = ET.fromstring(  # noqa: S314  our own text
        svg({"operator": operator, "gateway": gateway}, [("apply", 0, 9), ("blink", 9, 9.1)], "Title")
    )
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{space}polyline")) == 4
    words = [text.text for text in drawn.findall(f"{space}text")]
    assert {"Title", "operator", "gateway", "apply", "MiB (PSS)", "% of a core"} <= set(words)
    assert "blink" not in words


def test_a_timeline_has_samples_of_a_process_and_its_phases() -> None:
    timeline = Timeline(begin=time.monotonic())
    with timeline.phase("idle"), timeline.sampling("self", os.getpid()):
        wait_for("a sample", lambda: timeline.samples["self"], timeout=20)
    ((name, begin, end),) = timeline.phases
    assert (name, begin <= end) == ("idle", True)
    assert all(mib > 10 for _, mib, _ in timeline.samples["self"])


def test_threads_and_files_of_a_process_are_counted() -> None:
    before = open_files(os.getpid())
    with Path(os.devnull).open():
        assert open_files(os.getpid()) == before + 1
    assert threads_of(os.getpid()) >= 1


def test_the_machine_has_been_idle_at_some_time() -> None:
    assert idle_seconds() > 0
