"""The results as files, and in the documentation the table and the drawing between two marks."""

import json
from pathlib import Path
from typing import Final

from benchmarks.machine import Facts
from benchmarks.scale.measuring import Measured
from benchmarks.scale.plot import svg
from benchmarks.scale.report import rows
from tests.cluster.locations import CHECKOUT

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
COMMITTED: Final = RESULTS / "committed"
"""What the documentation shows; WRITE=1 writes it anew."""

NAME: Final = "docs/benchmarks.md"
_BEGIN: Final = "<!-- the rest of this section is written by: WRITE=1 make scale -->\n"
_END: Final = "<!-- end of what is written -->\n"


def write_results(found: list[Measured], machine: Facts, folder: Path) -> None:
    """Write samples, calls and machine as JSON, and the largest size's processes over time as a drawing."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {measured.size: vars(measured) for measured in found}
    (folder / "scale.json").write_text(json.dumps({"machine": machine, "sizes": sizes}) + "\n")
    largest = found[-1]
    title = f"Operator and gateway beside {largest.size:,} pipelines"
    drawing = svg(largest.samples["timeline"], largest.samples["phases"], title)
    (folder / "scale.svg").write_text(drawing)


def rewritten(text: str, found: list[Measured], machine: Facts) -> str:
    """Return the document with another table. Raises ValueError where the marks are missing."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{NAME} has lost the marks between which the table stands")
    said = (
        f"Measured on {machine['cores']} cores and {machine['memory_gib']} GiB, Kubernetes {machine['kubernetes']}, "
        f"load {machine['load_before']} before the start, commit {machine['commit']}. "
        "Samples: [scale.json](../benchmarks/results/committed/scale.json)."
    )
    head, *body = [f"| {' | '.join(cells)} |" for cells in rows(found)]
    table = "\n".join([head, "|---" * (len(found) + 2) + "|", *body])
    drawing = "![Memory and processor over time](../benchmarks/results/committed/scale.svg)"
    return f"{before}{begin}\n{said}\n\n{table}\n\n{drawing}\n\n{end}{after}"


def write(found: list[Measured], machine: Facts) -> None:
    """Rewrite the document."""
    file = CHECKOUT / NAME
    file.write_text(rewritten(file.read_text(), found, machine))
