"""The matrix in the documentation: the table between two comments, with what it was measured on."""

from typing import Final

from testcluster.locations import CHECKOUT
from testing.machine import Facts

NAME: Final = "docs/operations/fault-matrix.md"
_BEGIN: Final = "<!-- the rest of this section is written by: python -m tests.scenarios.faults --write -->\n"
_END: Final = "<!-- end of what is written -->\n"


def rewritten(text: str, table: str, machine: Facts, rounds: int) -> str:
    """Return the document with another table. Raises ValueError where the comments are missing."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{NAME} has lost the comments between which the table stands")
    heading = (
        f"Measured in {rounds} round(s) on {machine['cores']} cores and {machine['memory_gib']} GiB, Kubernetes "
        f"{machine['kubernetes']}, load {machine['load_before']} before the start."
    )
    return f"{before}{begin}\n{heading}\n\n{table}\n\n{end}{after}"


def write(table: str, machine: Facts, rounds: int) -> None:
    """Rewrite the document."""
    file = CHECKOUT / NAME
    file.write_text(rewritten(file.read_text(), table, machine, rounds))
