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
from testing.machine import Facts, described
from testing.markdown_section import MarkdownSection, markdown_table, paragraphs

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
COMMITTED: Final = RESULTS / "committed"
"""What the documentation shows; WRITE=1 writes it."""

_STEM: Final = "scale"
_BEFORE: Final = "scale_before"

SECTION: Final = MarkdownSection.written_by("WRITE=1 make scale", CHECKOUT / "docs" / "benchmarks.md")


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


def content(found: list[Measured], machine: Facts, before: Before | None = None) -> str:
    """Return the content of the section."""
    origin = (
        f"Measured {described(machine)}, commit {machine['commit']}. "
        "Samples: [scale.json](../benchmarks/results/committed/scale.json)."
    )
    if before is not None:
        origin += (
            f" The last column is commit {before.commit}, measured by the same benchmark: "
            "[scale_before.json](../benchmarks/results/committed/scale_before.json)."
        )
    head, *body = rows(found, before)
    drawing = "![Memory and CPU over time](../benchmarks/results/committed/scale.svg)"
    return paragraphs(origin, markdown_table(head, body), drawing)


def write(found: list[Measured], machine: Facts) -> None:
    """Rewrite the document."""
    SECTION.write(content(found, machine, read_before()))
