"""The measured parts of README.md and docs/benchmarks.md, written from the committed results.

python -m benchmarks.side_by_side.document            # write
python -m benchmarks.side_by_side.document --check    # exit with 1 if a part differs from the results
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.side_by_side.figures import FIGURES, markdown
from testcluster.locations import CHECKOUT

COMMITTED: Final = CHECKOUT / "benchmarks" / "results" / "committed" / "side_by_side.json"
_BEGIN: Final = "<!-- side by side: written by `python -m benchmarks.side_by_side.document` -->"
_END: Final = "<!-- end of side by side -->"
_REASONS: Final = (
    ("Small", "idle_mib", "MiB", "Operator and gateway take {ours} of memory when idle; Airflow takes {airflow}."),
    (
        "Idle when idle",
        "deployed_cpu_percent",
        "%",
        "With some 50 pipelines deployed and none running, they use {ours} of a core; Airflow uses {airflow}.",
    ),
    (
        "Fast to deploy",
        "deploy_50th_ms",
        "ms",
        "The fiftieth pipeline in a row takes {ours}; with Airflow {airflow}.",
    ),
    (
        "Quick to stop",
        "kill_to_gone_s",
        "s",
        "The processes of a killed run end within {ours}; with Airflow {airflow}.",
    ),
)
"""README.md's reasons: a title, the figure behind it, its unit, and the sentence with both medians."""


def readme_part(found: Mapping[str, Any]) -> str:
    """Return the reasons for this project, each with its figure, and the figure in which Airflow is ahead."""
    figures = found["figures"]
    reasons = [f"- **{title}.** {text.format(**_medians(figures[key], unit))}" for title, key, unit, text in _REASONS]
    start = _medians(figures["trigger_to_first_request_s"], "s")
    caveat = (
        f"Medians. Airflow starts a run sooner (first request after {start['airflow']}; here {start['ours']}): "
        "[all figures](docs/benchmarks.md#beside-airflow)."
    )
    return "\n".join([*reasons, "", caveat])


def _medians(row: Mapping[str, Any], unit: str) -> dict[str, str]:
    return {
        name: f"{row[name]['median']:,.6g} {unit}" if row[name] else "(not measured)" for name in ("ours", "airflow")
    }


def benchmarks_part(found: Mapping[str, Any]) -> str:
    """Return all rows, what was measured on what, what the run noted, and why a cell is empty."""
    notes = [f"- {name}: {note}" for name, each in found["notes"].items() for note in each]
    reasons: dict[str, list[str]] = {}
    for figure in FIGURES:
        for name, reason in found["figures"][figure.key].get("reasons", {}).items():
            reasons.setdefault(f"{name}: {reason}", []).append(f"`{figure.key}`")
    empty = [f"- {reason} ({', '.join(keys)})" for reason, keys in reasons.items() if not reason.startswith("floor")]
    parts = [markdown(found["figures"]), _origin(found)]
    parts += ["What the run noted:", "\n".join(notes)] if notes else []
    parts += ["Empty cells:", "\n".join(empty)] if empty else []
    return "\n\n".join(parts)


PARTS: Final = {"README.md": readme_part, "docs/benchmarks.md": benchmarks_part}


def replaced(text: str, part: str) -> str:
    """Return a document with a new part between the two comments. Raises ValueError without them."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the document has no {_BEGIN} … {_END}")
    return f"{before}{_BEGIN}\n\n{part}\n\n{_END}{after}"


def outdated(checkout: Path, results: Path) -> dict[Path, str]:
    """Return the documents that differ from the results, with the text that they should have."""
    found = json.loads(results.read_text())
    texts = {checkout / name: replaced((checkout / name).read_text(), part(found)) for name, part in PARTS.items()}
    return {path: text for path, text in texts.items() if path.read_text() != text}


def _origin(found: Mapping[str, Any]) -> str:
    machine, versions = found["machine"], found["versions"]
    loads = [load for parts in found["loads"].values() for load in parts.values()]
    runs = f"{found['runs']} runs" if found["runs"] > 1 else "one run"
    return (
        f"Medians of {runs} (`make bench`, {found['seconds']} s), small print: smallest and largest. Airflow "
        f"{versions['apache-airflow']}, plugin {versions['openmetadata-managed-apis']}, openmetadata-ingestion "
        f"{versions['openmetadata-ingestion']} on both sides, Kubernetes {machine['kubernetes']}, Python "
        f"{machine['python']}; {machine['cores']} cores, {machine['memory_gib']} GiB; load before the parts "
        f"{min(loads)} to {max(loads)}; commit {machine['commit']}."
    )


def main(arguments: list[str]) -> int:
    """Write the documents, or report which ones differ from the results."""
    wrong = outdated(CHECKOUT, COMMITTED)
    if "--check" in arguments:
        for path in wrong:
            print(f"{path.relative_to(CHECKOUT)} differs from the results: python -m benchmarks.side_by_side.document")
        return 1 if wrong else 0
    for path, text in wrong.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
