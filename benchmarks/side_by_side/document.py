"""The tables of README.md and docs/benchmarks.md, written from the committed results.

python -m benchmarks.side_by_side.document            # write
python -m benchmarks.side_by_side.document --check    # exit with 1 if a table is not what the results say
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
_CHOSEN: Final = frozenset({
    "cold_start_s", "deploy_50th_ms", "deploy_to_trigger_s", "deploy_to_trigger_beside_s", "trigger_to_first_request_s",
    "trigger_to_finished_s", "end_to_status_s", "status_ms", "kill_to_gone_s", "idle_mib", "idle_all_mib",
    "deployed_cpu_percent", "deployed_all_cpu_percent", "idle_all_processes",
})  # fmt: skip
"""The rows of README.md; docs/benchmarks.md has all."""


def readme_part(found: Mapping[str, Any]) -> str:
    """Return the chosen rows, and what was measured on what."""
    return f"{markdown(found['figures'], _CHOSEN)}\n\n{_origin(found)}"


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
    """Return a document with what stands between the two marks replaced. Raises ValueError without them."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the document has no {_BEGIN} … {_END}")
    return f"{before}{_BEGIN}\n\n{part}\n\n{_END}{after}"


def outdated(checkout: Path, results: Path) -> dict[Path, str]:
    """Return what the documents that are not as the results say would have to be."""
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
    """Write the documents, or say which are not as they should be."""
    wrong = outdated(CHECKOUT, COMMITTED)
    if "--check" in arguments:
        for path in wrong:
            print(
                f"{path.relative_to(CHECKOUT)} is not what the results say: python -m benchmarks.side_by_side.document"
            )
        return 1 if wrong else 0
    for path, text in wrong.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
