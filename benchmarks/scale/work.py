"""What the operator asks of the API server for a reconciliation and for a run; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from benchmarks.scale.audit import Calls


@dataclass(frozen=True)
class Work:
    """The operator's requests in one phase, without its Lease and its watches, and how often it reconciled."""

    gets: int = 0
    lists: int = 0
    writes: int = 0
    reconciles: int = 0

    @classmethod
    def of(cls, calls: Calls, reconciles: int) -> Self:
        """Return the figures of the audit log and of the operator's own counter."""
        return cls(calls.gets, calls.lists, calls.writes, reconciles)

    @property
    def requests(self) -> int:
        """Return the number of reads and writes."""
        return self.gets + self.lists + self.writes

    def __add__(self, other: "Work") -> "Work":
        """Return the work of two phases."""
        return Work(
            self.gets + other.gets,
            self.lists + other.lists,
            self.writes + other.writes,
            self.reconciles + other.reconciles,
        )


def per_reconcile(phases: Iterable[Work]) -> dict[str, float]:
    """Return reads and lists for each reconciliation over all phases; nothing where there was none."""
    work = sum(phases, Work())
    if not work.reconciles:
        return {}
    return {
        "reads_per_reconcile": round((work.gets + work.lists) / work.reconciles, 2),
        "lists_per_reconcile": round(work.lists / work.reconciles, 4),
    }


def per_run(work: Work, runs: int, prefix: str = "") -> dict[str, float]:
    """Return requests, writes and reconciliations for each run, by names that begin with the prefix."""
    return {
        f"{prefix}requests_per_run": round(work.requests / runs, 2),
        f"{prefix}writes_per_run": round(work.writes / runs, 2),
        f"{prefix}reconciles_per_run": round(work.reconciles / runs, 2),
    }
