"""The table in the documentation: what stands between two marks, with what it was measured on."""

from typing import Final

from testcluster.locations import CHECKOUT
from testing.machine import Facts

NAME: Final = "docs/operations/pipeline-types.md"
_BEGIN: Final = "<!-- the rest of this section is written by: python -m tests.scenarios.types --write -->\n"
_END: Final = "<!-- end of what is written -->\n"


def rewritten(text: str, table: str, machine: Facts) -> str:
    """Return the document with another table. Raises ValueError where the marks are missing."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{NAME} has lost the marks between which the table stands")
    said = (
        f"One run after the other, on {machine['cores']} cores and {machine['memory_gib']} GiB, Kubernetes "
        f"{machine['kubernetes']}, load {machine['load_before']} before the start."
    )
    return f"{before}{begin}\n{said}\n\n{table}\n\n{end}{after}"


def write(table: str, machine: Facts) -> None:
    """Rewrite the document."""
    file = CHECKOUT / NAME
    file.write_text(rewritten(file.read_text(), table, machine))
