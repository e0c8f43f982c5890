"""The matrix in the documentation, with the machine that it was measured on."""

from typing import Final

from testcluster.locations import CHECKOUT
from testing.machine import Facts, described
from testing.markdown_section import MarkdownSection, paragraphs

NAME: Final = "docs/operations/fault-matrix.md"
SECTION: Final = MarkdownSection.written_by("python -m tests.scenarios.faults --write", CHECKOUT / NAME)


def content(table: str, machine: Facts, rounds: int) -> str:
    """Return the content of the section."""
    return paragraphs(f"Measured in {rounds} round(s) {described(machine)}.", table)
