"""The plot of the results: Airflow beside ours and the floor, as bars of the medians from smallest to largest."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.side_by_side.figures import rounded
from testcluster.commands import run
from testcluster.locations import CHECKOUT
from testing.environments import Lock, python_of

LOCK: Final = Path(__file__).parent / "plot.lock"
SHOWN: Final = {
    "Waiting (s)": (
        ("cold_start_s", "cold start"),
        ("deploy_to_trigger_beside_s", "deploy → trigger\naccepted, beside many"),
        ("trigger_to_first_request_s", "trigger → first\nrequest"),
        ("trigger_to_finished_s", "trigger → run\nfinished"),
        ("end_to_status_s", "end → status"),
        ("kill_to_gone_s", "kill → process\ngone"),
    ),
    "Memory, idle (MiB)": (
        ("idle_mib", "own"),
        ("idle_all_mib", "with database\nor Kubernetes"),
        ("deployed_mib", "own, pipelines\ndeployed"),
        ("deployed_all_mib", "with database\nor Kubernetes"),
    ),
    "CPU, idle (% of a core)": (
        ("idle_cpu_percent", "own"),
        ("idle_all_cpu_percent", "with database\nor Kubernetes"),
        ("deployed_cpu_percent", "own, pipelines\ndeployed"),
        ("deployed_all_cpu_percent", "with database\nor Kubernetes"),
    ),
}
"""The panels: each figure with its label. A panel is drawn on a linear scale from 0, so that lengths compare."""

_COLOURS: Final = {"ours": "#1f77b4", "airflow": "#d95f02", "floor": "#9a9a9a"}
_NAMES: Final = {"ours": "ingestion-operator", "airflow": "Airflow with the plugin", "floor": "plain Kubernetes"}


def draw(results: Path, picture: Path) -> None:
    """Draw with an environment of its own, which is made on first use."""
    python = python_of("plot", [Lock(LOCK)])
    words = ["-m", "benchmarks.side_by_side.plot", str(results), str(picture)]
    run([python, *words], cwd=CHECKOUT, env={"MPLBACKEND": "agg"}, timeout=120)


def bars(figures: dict[str, dict[str, Any]], key: str) -> dict[str, tuple[float, float, float]]:
    """Return min, median and max of those who have the figure."""
    return {
        name: (row["min"], row["median"], row["max"]) for name in _COLOURS if (row := figures[key][name]) is not None
    }


def _draw(figures: dict[str, dict[str, Any]], picture: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415  only the environment of the plot has it

    panes, axes = plt.subplots(1, len(SHOWN), figsize=(15, 4.6), width_ratios=[len(each) for each in SHOWN.values()])
    width = 0.27
    for axis, (title, shown) in zip(axes, SHOWN.items(), strict=True):
        for place, (key, _) in enumerate(shown):
            for number, (name, (low, middle, high)) in enumerate(bars(figures, key).items()):
                x = place + (number - 1) * width
                axis.bar(x, middle, width, color=_COLOURS[name], yerr=[[middle - low], [high - middle]], ecolor="#444")
                axis.annotate(f"{rounded(middle):,.6g}", (x, high),
                              xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7)  # fmt: skip
        axis.set_title(title, fontsize=10)
        axis.set_xticks(range(len(shown)), [label for _, label in shown], fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in _COLOURS.values()]
    panes.legend(handles, [_NAMES[name] for name in _COLOURS], loc="lower center", ncols=3, frameon=False, fontsize=9)
    panes.tight_layout(rect=(0, 0.06, 1, 1))
    panes.savefig(picture, dpi=110)


if __name__ == "__main__":
    _draw(json.loads(Path(sys.argv[1]).read_text())["figures"], Path(sys.argv[2]))
