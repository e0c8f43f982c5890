"""From the figures of all sizes to a table, its growth and one JSON object; pure functions."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.scale.growth import SUPER_LINEAR, exponents, super_linear
from benchmarks.scale.measuring import Measured
from testing.text_table import aligned

TARGETS: Final = {
    "reads_per_reconcile": 1.0,
    "lists_per_reconcile": 0,
    "writes_per_run": 7,
    "triggered_writes_per_run": 7,
    "night_difference_core_s": 180,
    "restart_writes": 0,
    "restart_gets_per_pipeline": 0,
    "restart_ready_s": 10,
    "operator_rss_mb": 160,
    "restart_rss_mb": 160,
    "night_rss_mb": 160,
    "gateway_rss_mb": 140,
    "gateway_status_p50_ms": 3,
}
"""The most that each figure may be beside 5,000 pipelines."""

PROMISED: Final = (
    "apply_to_ready_s", "floor_s", "reads_per_reconcile", "lists_per_reconcile", "requests_per_run", "writes_per_run",
    "triggered_requests_per_run", "triggered_writes_per_run", "restart_writes", "restart_gets_per_pipeline",
    "restart_ready_s", "operator_rss_mb", "restart_rss_mb", "gateway_rss_mb", "change_latency_p99_ms",
)  # fmt: skip
"""What the last line has of the largest size; nights and statuses follow."""

NIGHT: Final = ("with_operator", "without_operator", "difference", "unmerged", "rest")
"""Parts of the figure `night_api_server_core_s`."""

_COSTS: Final = (
    "apply_to_ready_s", "floor_s", "fill_to_quiet_s", "restart_ready_s", "operator_start_s", "gateway_start_s",
    "operator_rss_mb", "restart_rss_mb", "night_rss_mb", "gateway_rss_mb",
    "calls_per_pipeline", "writes_per_pipeline", "bytes_sent_per_pipeline", "bytes_received_per_pipeline",
    "apply_cpu_ms_per_pipeline", "fill_cpu_ms_per_finished_run", "restart_cpu_ms_per_pipeline",
    "restart_bytes_per_pipeline", "change_latency_p50_ms", "change_latency_p99_ms", "change_cpu_ms",
    "stampede_job_lag_p99_ms", "stampede_pod_lag_p99_ms", "stampede_record_lag_p99_ms", "stampede_cpu_ms_per_run",
    "reads_per_reconcile", "requests_per_run", "writes_per_run", "triggered_requests_per_run",
    "night_requests_per_run", "night_operator_cpu_ms_per_run",
    "night_with_operator_core_s", "night_without_operator_core_s", "night_difference_core_s",
    "gateway_status_p50_ms", "gateway_status_p99_ms", "gateway_deploy_p50_ms", "gateway_deploy_p99_ms",
    "gateway_trigger_p50_ms", "gateway_trigger_p99_ms",
)  # fmt: skip
"""The figures whose growth is computed."""


@dataclass(frozen=True)
class Before:
    """The figures of another commit, measured by the same benchmark."""

    commit: str
    size: int
    figures: Mapping[str, float]


def growth(found: list[Measured]) -> dict[str, float]:
    """Return the exponents of all costs by name."""
    return exponents({measured.size: measured.figures for measured in found}, _COSTS)


def missed(figures: Mapping[str, float]) -> list[str]:
    """Return the names of the figures that are above their targets, or were not taken."""
    return [name for name, most in TARGETS.items() if not figures.get(name, math.inf) <= most]


def rows(found: list[Measured], before: Before | None = None) -> list[list[str]]:
    """Return the cells: a row for each figure, a column for each size, the exponent last; the first row is the head.

    With `before`, the figures of the largest size at an earlier commit, they are in a column of their own.
    """
    lines, grows = [["", *(f"{measured.size:,}" for measured in found), "exponent"]], growth(found)
    for key in dict.fromkeys(key for measured in found for key in measured.figures):
        cells = [_cell(measured.figures, key) for measured in found]
        flag = " !" if key in super_linear(grows) else ""
        lines.append([key, *cells, f"{grows[key]:.2f}{flag}" if key in grows else ""])
    if before is not None:
        lines[0].append(f"{before.size:,} at {before.commit}")
        for line in lines[1:]:
            line.append(_cell(before.figures, line[0]))
    return lines


def _cell(figures: Mapping[str, float], key: str) -> str:
    return f"{figures[key]:,.6g}" if key in figures else "-"


def table(found: list[Measured]) -> str:
    """Return the cells as lines for people, what grows too fast, and which targets are missed."""
    worse = ", ".join(super_linear(growth(found))) or "none"
    above = ", ".join(missed(found[-1].figures)) or "none"
    return "\n".join(
        [
            *aligned(rows(found)),
            f"targets missed: {above}",
            f"! grows faster than the number of pipelines (exponent above {SUPER_LINEAR}): {worse}",
        ]
    )


def last_line(found: list[Measured]) -> str:
    """Return the result as one JSON object, its promised keys first."""
    largest, grows = found[-1].figures, growth(found)
    result: dict[str, Any] = {key: largest.get(key) for key in PROMISED}
    result["night_api_server_core_s"] = {part: largest.get(f"night_{part}_core_s") for part in NIGHT}
    result["gateway_status_p50_ms"] = {
        "1": largest.get("gateway_status_of_one_p50_ms"),
        **{str(measured.size): measured.figures.get("gateway_status_p50_ms") for measured in found},
    }
    result["targets_missed"] = missed(largest)
    return json.dumps({**result, "exponents": grows, "super_linear": super_linear(grows), "pipelines": found[-1].size})
