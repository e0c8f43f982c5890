"""What is measured, and from raw samples to figures; pure functions."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

CONTENDERS: Final = ("ours", "airflow", "floor")


@dataclass(frozen=True)
class Figure:
    """One thing that is measured: the less of it, the better."""

    key: str
    title: str
    unit: str
    no_floor: str = ""
    """Why the floor is missing; empty where it is measured."""


_NO_REST = "Kubernetes has no such call"
_ALONE = "the floor runs no process of its own"

FIGURES: Final = (
    Figure("cold_start_s", "cold start: processes are started → `health` answers", "s", _ALONE),
    Figure("deploy_few_ms", "deploy, few pipelines", "ms"),
    Figure("deploy_1st_ms", "deploy, 1st in a row", "ms", _NO_REST),
    Figure("deploy_25th_ms", "deploy, 23rd to 27th in a row", "ms", _NO_REST),
    Figure("deploy_50th_ms", "deploy, 46th to 50th in a row", "ms", _NO_REST),
    Figure("deploy_beside_ms", "deploy, quiet, beside those of the row", "ms", _NO_REST),
    Figure("deploy_to_trigger_s", "deploy → a trigger is accepted, few pipelines", "s", _NO_REST),
    Figure(
        "deploy_to_trigger_beside_s", "deploy → a trigger is accepted, quiet, beside those of the row", "s", _NO_REST
    ),
    Figure("trigger_ms", "trigger is answered", "ms"),
    Figure("trigger_to_first_request_s", "trigger → the workflow's first request", "s"),
    Figure("trigger_to_first_log_s", "trigger → first log line through `last_dag_logs`", "s"),
    Figure("trigger_to_finished_s", "trigger → small metadata run finished", "s"),
    Figure("end_to_status_s", "end of the work → terminal state through `status`", "s"),
    Figure("status_ms", "`status`", "ms"),
    Figure("logs_ms", "`last_dag_logs`", "ms"),
    Figure("health_ms", "`health`", "ms"),
    Figure("kill_ms", "kill is answered", "ms"),
    Figure("kill_to_gone_s", "kill is sent → the run's processes are gone", "s"),
    Figure("kill_to_told_s", "kill is sent → OpenMetadata has the end", "s", "OpenMetadata gets no report"),
    Figure("idle_mib", "memory, idle, no pipelines", "MiB", _ALONE),
    Figure("idle_all_mib", "memory, idle, no pipelines, with database or Kubernetes", "MiB"),
    Figure("idle_cpu_percent", "CPU, idle, no pipelines", "% of a core", _ALONE),
    Figure("idle_all_cpu_percent", "CPU, idle, no pipelines, with database or Kubernetes", "% of a core"),
    Figure("idle_processes", "processes, idle, no pipelines", "", _ALONE),
    Figure("idle_all_processes", "processes, idle, no pipelines, with database or Kubernetes", ""),
    Figure("deployed_mib", "memory, idle, all deployed", "MiB", _ALONE),
    Figure(
        "deployed_all_mib", "memory, idle, all deployed, with database or Kubernetes", "MiB", "as without pipelines"
    ),
    Figure("deployed_cpu_percent", "CPU, idle, all deployed", "% of a core", _ALONE),
    Figure(
        "deployed_all_cpu_percent",
        "CPU, idle, all deployed, with database or Kubernetes",
        "% of a core",
        "as without pipelines",
    ),
    Figure("disk_mb", "disk: environment, or images", "MB", _ALONE),
    Figure("disk_all_mb", "disk: environment, or images, with database or Kubernetes", "MB"),
)
"""Everything that is measured, in the order of the table."""


@dataclass
class Samples:
    """What was seen of one contender."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By the key of the figure."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why there is none, by the key of the figure."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures has to know, such as where a contender was stopped."""
    components: dict[str, Any] = field(default_factory=dict)
    """What the idle figures are made of: moment, component, {mib, cpu_percent, processes}."""
    loads: dict[str, float] = field(default_factory=dict)
    """The machine's load average of a minute at the begin of each part."""


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return min, median, max and n of samples."""
    if not values:
        raise ValueError("no samples")
    spread = {"min": min(values), "median": median(values), "max": max(values)}
    return {**{name: rounded(value) for name, value in spread.items()}, "n": len(values)}


def rounded(value: float) -> float:
    """Return a value with three digits, and with all digits before the point."""
    return float(f"{value:.3g}") if abs(value) < 100 else float(round(value))  # noqa: PLR2004  three digits


def results(samples: Mapping[str, Samples]) -> dict[str, dict[str, Any]]:
    """Return each figure by contender, null where there is none, with the reason for that under `reasons`.

    `ratio` is Airflow's median over ours: above 1 ours is less.
    """
    found: dict[str, dict[str, Any]] = {}
    for figure in FIGURES:
        row: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        for name in CONTENDERS:
            values = samples[name].values.get(figure.key, [])
            row[name] = summary(values) if values else None
            reason = samples[name].reasons.get(figure.key) or (figure.no_floor if name == "floor" else "")
            if not values and reason:
                reasons[name] = reason
        row["ratio"] = _ratio(row["airflow"], row["ours"])
        found[figure.key] = row | ({"reasons": reasons} if reasons else {})
    return found


def _ratio(airflow: Mapping[str, float] | None, ours: Mapping[str, float] | None) -> float | None:
    if airflow is None or ours is None or not ours["median"]:
        return None
    return rounded(airflow["median"] / ours["median"])


def missing(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the figures that are neither there nor explained."""
    return [
        f"{key} of {name}"
        for key, row in found.items()
        for name in CONTENDERS
        if row[name] is None and name not in row.get("reasons", {})
    ]


def last_line(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the result as one JSON object."""
    return json.dumps(found)


def markdown(found: Mapping[str, Mapping[str, Any]], keys: Collection[str] = ()) -> str:
    """Return the figures as a table, all or those with `keys`: the median, and min to max where they differ."""
    lines = ["| | ours | Airflow | floor | Airflow / ours |", "|---|--:|--:|--:|--:|"]
    for figure in FIGURES:
        if keys and figure.key not in keys:
            continue
        row = found[figure.key]
        unit = f" ({figure.unit})" if figure.unit else ""
        ratio = "" if row["ratio"] is None else f"{row['ratio']:,.4g}"
        cells = [f"{figure.title}{unit}", *(_cell(row[name]) for name in CONTENDERS), ratio]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "-"
    low, middle, high = (f"{values[name]:,.6g}" for name in ("min", "median", "max"))
    return middle if low == high else f"{middle} <sub>{low} to {high}</sub>"
