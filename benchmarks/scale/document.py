"""The results as files, and in the documentation the table and the drawing between two comments."""

import json
from operator import itemgetter
from pathlib import Path
from typing import Final

from benchmarks.scale.measuring import Measured
from benchmarks.scale.plot import svg
from benchmarks.scale.report import Before, rows
from benchmarks.scale.subject import Subject
from testcluster.locations import CHECKOUT
from testing.machine import Facts

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
COMMITTED: Final = RESULTS / "committed"
"""What the documentation shows; WRITE=1 writes it."""

_STEM: Final = "scale"
_BEFORE: Final = "scale_before"

NAME: Final = "docs/benchmarks.md"
_BEGIN: Final = "<!-- the rest of this section is written by: WRITE=1 make scale -->\n"
_END: Final = "<!-- end of what is written -->\n"


def write_results(found: list[Measured], machine: Facts, folder: Path, subject: Subject) -> None:
    """Write samples, calls and machine as JSON, and the largest size's processes over time as a drawing.

    Those of another checkout have names of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = _BEFORE if subject.is_other else _STEM
    sizes = {measured.size: vars(measured) for measured in found}
    text = json.dumps({"machine": machine, "commit": subject.commit, "sizes": sizes})
    (folder / f"{stem}.json").write_text(text + "\n")
    largest = found[-1]
    title = f"Operator and gateway beside {largest.size:,} pipelines"
    drawing = svg(largest.samples["timeline"], largest.samples["phases"], title)
    (folder / f"{stem}.svg").write_text(drawing)


def read_before(folder: Path = COMMITTED) -> Before | None:
    """Return the largest size of another checkout's results, None where there are none."""
    file = folder / f"{_BEFORE}.json"
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    size, measured = max(((int(size), measured) for size, measured in content["sizes"].items()), key=itemgetter(0))
    return Before(content["commit"], size, measured["figures"])


def rewritten(text: str, found: list[Measured], machine: Facts, before: Before | None = None) -> str:
    """Return the document with another table. Raises ValueError where the comments are missing."""
    prologue, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{NAME} has lost the comments between which the table stands")
    said = (
        f"Measured on {machine['cores']} cores and {machine['memory_gib']} GiB, Kubernetes {machine['kubernetes']}, "
        f"load {machine['load_before']} before the start, commit {machine['commit']}. "
        "Samples: [scale.json](../benchmarks/results/committed/scale.json)."
    )
    if before is not None:
        said += (
            f" The last column is commit {before.commit}, measured by the same benchmark: "
            "[scale_before.json](../benchmarks/results/committed/scale_before.json)."
        )
    head, *body = [f"| {' | '.join(cells)} |" for cells in rows(found, before)]
    table = "\n".join([head, "|---" * (head.count(" | ") + 1) + "|", *body])
    drawing = "![Memory and processor over time](../benchmarks/results/committed/scale.svg)"
    return f"{prologue}{begin}\n{said}\n\n{table}\n\n{drawing}\n\n{end}{after}"


def write(found: list[Measured], machine: Facts) -> None:
    """Rewrite the document."""
    file = CHECKOUT / NAME
    file.write_text(rewritten(file.read_text(), found, machine, read_before()))
