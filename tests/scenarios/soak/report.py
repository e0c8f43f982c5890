"""What came of a soak, judged, for people and for machines; pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from tests.scenarios.soak.execution import Result
from tests.scenarios.soak.flatness import LEAST_SECONDS, growth_per_hour, peak, seconds, warm


@dataclass(frozen=True)
class Bound:
    """How much a process may have of something at any time, and how far that may grow in an hour."""

    most: float
    growth_per_hour: float
    noise: float
    """What a measurement may be off, which counts more the shorter it was."""

    def growth_within(self, hours: float) -> float:
        """Return the growth in an hour that is let pass after so many hours of samples."""
        return self.growth_per_hour + self.noise / hours


BOUNDS: Final = {
    "operator": {"memory_mib": Bound(110, 4, 1.5), "threads": Bound(40, 0.5, 1), "files": Bound(80, 1, 3)},
    "gateway": {"memory_mib": Bound(90, 4, 1.5), "threads": Bound(60, 0.5, 1), "files": Bound(80, 1, 3)},
}


@dataclass(frozen=True)
class Judged:
    """One measure of one process."""

    process: str
    measure: str
    peak: float
    growth_per_hour: float | None
    let_pass: float | None
    """Both None where the samples are too few."""

    def problems(self) -> list[str]:
        """Return what is wrong, in words."""
        name, most = f"{self.measure} of the {self.process}", BOUNDS[self.process][self.measure].most
        found = [f"{name} reached {self.peak:g}, more than {most:g}"] if self.peak > most else []
        if self.growth_per_hour is not None and self.let_pass is not None and self.growth_per_hour > self.let_pass:
            found.append(f"{name} grew by {self.growth_per_hour:.1f} an hour, more than {self.let_pass:.1f}")
        return found


def judged(result: Result) -> list[Judged]:
    """Return all measures of both processes."""
    found = []
    for process, measures in result.lives.items():
        for measure, lives in measures.items():
            samples = warm(lives)
            measured, grows, let_pass = seconds(samples), None, None
            if measured >= LEAST_SECONDS:
                grows = round(growth_per_hour(samples), 2)
                let_pass = round(BOUNDS[process][measure].growth_within(measured / 3600), 2)
            found.append(Judged(process, measure, peak(lives), grows, let_pass))
    return found


def violations(result: Result) -> list[str]:
    """Return everything that must not be, one line each."""
    return list(dict.fromkeys(result.violations)) + [p for each in judged(result) for p in each.problems()]


def table(result: Result) -> str:
    """Return what was done and what it cost, as lines for people."""
    lines = [
        f"seed {result.seed}, {result.seconds / 60:g} minutes, {result.runs} runs, {result.containers} containers",
        f"steps: {_counts(result.steps)}",
        f"faults: {_counts(result.faults)}",
        f"asked again: {_counts(result.refused) or 'never'}",
        f"{'':<24}{'peak':>8}{'growth/h':>10}{'let pass':>10}",
    ]
    for each in judged(result):
        known = each.growth_per_hour is not None and each.let_pass is not None
        growth = f"{each.growth_per_hour:>+10.2f}{each.let_pass:>10g}" if known else f"{'too short':>10}"
        lines.append(f"{each.process + ' ' + each.measure:<24}{each.peak:>8g}{growth}")
    return "\n".join(lines)


def last_line(result: Result) -> str:
    """Return the result as one JSON object."""
    found: dict[str, Any] = {
        "seed": result.seed,
        "minutes": round(result.seconds / 60, 2),
        "steps": sum(result.steps.values()),
        "faults": sum(result.faults.values()),
        "runs": result.runs,
        "violations": len(violations(result)),
    }
    for each in judged(result):
        found[f"{each.process}_{each.measure}_peak"] = each.peak
        found[f"{each.process}_{each.measure}_growth_per_hour"] = each.growth_per_hour
    return json.dumps(found)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
