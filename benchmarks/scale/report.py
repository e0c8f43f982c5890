"""From the figures of all sizes to a table, its growth and one JSON object; pure functions."""

import json
from typing import Any, Final

from benchmarks.scale.growth import SUPER_LINEAR, exponents, super_linear
from benchmarks.scale.measuring import Measured

PROMISED: Final = (
    "apply_to_ready_s", "floor_s", "restart_writes", "restart_ready_s", "operator_rss_mb", "gateway_rss_mb",
    "change_latency_p99_ms",
)  # fmt: skip
"""What the last line has of the largest size."""

_COSTS: Final = (
    "apply_to_ready_s", "floor_s", "fill_to_quiet_s", "restart_ready_s", "operator_start_s", "gateway_start_s",
    "operator_rss_mb", "restart_rss_mb", "gateway_rss_mb",
    "calls_per_pipeline", "writes_per_pipeline", "bytes_sent_per_pipeline", "bytes_received_per_pipeline",
    "apply_cpu_ms_per_pipeline", "fill_cpu_ms_per_finished_run", "restart_cpu_ms_per_pipeline",
    "restart_bytes_per_pipeline", "change_latency_p50_ms", "change_latency_p99_ms", "change_cpu_ms",
    "stampede_job_lag_p99_ms", "stampede_pod_lag_p99_ms", "stampede_record_lag_p99_ms", "stampede_cpu_ms_per_run",
    "gateway_status_p50_ms", "gateway_status_p99_ms", "gateway_deploy_p50_ms", "gateway_deploy_p99_ms",
    "gateway_trigger_p50_ms", "gateway_trigger_p99_ms",
)  # fmt: skip
"""The figures whose growth is told."""


def growth(found: list[Measured]) -> dict[str, float]:
    """Return the exponents of all costs by name."""
    return exponents({measured.size: measured.figures for measured in found}, _COSTS)


def rows(found: list[Measured]) -> list[list[str]]:
    """Return the cells: a row for each figure, a column for each size, the exponent last; the first row is the head."""
    lines, grows = [["", *(f"{measured.size:,}" for measured in found), "exponent"]], growth(found)
    for key in dict.fromkeys(key for measured in found for key in measured.figures):
        cells = [f"{m.figures[key]:,.6g}" if key in m.figures else "-" for m in found]
        mark = " !" if key in super_linear(grows) else ""
        lines.append([key, *cells, f"{grows[key]:.2f}{mark}" if key in grows else ""])
    return lines


def table(found: list[Measured]) -> str:
    """Return the cells as lines for people, and what grows too fast."""
    cells = rows(found)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]
    worse = ", ".join(super_linear(growth(found))) or "none"
    return "\n".join([*lines, f"! grows faster than the number of pipelines (exponent above {SUPER_LINEAR}): {worse}"])


def last_line(found: list[Measured]) -> str:
    """Return the result as one JSON object, its promised keys first."""
    largest, grows = found[-1].figures, growth(found)
    result: dict[str, Any] = {key: largest.get(key) for key in PROMISED}
    return json.dumps({**result, "exponents": grows, "super_linear": super_linear(grows), "pipelines": found[-1].size})
