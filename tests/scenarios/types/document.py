"""The table in the documentation, with the machine that it was measured on."""

from typing import Final

from testcluster.locations import CHECKOUT
from testing.machine import Facts, described
from testing.markdown_section import MarkdownSection, paragraphs

NAME: Final = "docs/operations/pipeline-types.md"
SECTION: Final = MarkdownSection.written_by("python -m tests.scenarios.types --write", CHECKOUT / NAME)


def content(table: str, machine: Facts) -> str:
    """Return the content of the section."""
    return paragraphs(f"One run after the other, {described(machine)}.", table)
