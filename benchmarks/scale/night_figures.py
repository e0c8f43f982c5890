"""A night of one scheduled run for each pipeline, compressed into minutes: its schedules and its figures; pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from benchmarks.scale.work import Work, per_run

NIGHT_HOURS: Final = 8
RUNS_PER_MINUTE: Final = 300
"""A run costs all of Kubernetes some 0.2 s of a core: two cores have idle time left, and events are hardly merged."""


@dataclass(frozen=True)
class Night:
    """What the API server used while the runs of one night came and went."""

    core_seconds: float
    """CPU time of kube-apiserver, the kernel's for it included."""
    seconds: float
    idle_seconds: float
    """Of all cores of the machine together."""


@dataclass(frozen=True)
class Rest:
    """The operator's requests, its Lease and its watches included, over some seconds without any run."""

    requests: int
    seconds: float


def minutes_of(size: int) -> int:
    """Return how many minutes a night of so many runs is compressed into."""
    return math.ceil(size / RUNS_PER_MINUTE)


def first_tick(now: datetime, size: int) -> datetime:
    """Return the minute a night may begin with: by then so many CronJobs must have their new schedules."""
    ready = now + timedelta(seconds=60 + 0.06 * size)
    return ready.replace(second=0, microsecond=0) + timedelta(minutes=1)


def cron(first: datetime, number: int, size: int) -> str:
    """Return the schedule of the pipeline of a number (of `size`), which fires once in the night, in UTC."""
    tick = first + timedelta(minutes=number * minutes_of(size) // size)
    return f"{tick.minute} {tick.hour} * * *"


def figures(
    with_operator: Night,
    without: Night,
    *,
    runs: int,
    work: Work,
    requests: int,
    ordinary: float,
    rest: Rest,
    cores: int,
) -> dict[str, float]:
    """Return what a night costs the API server, in seconds of one core, with the operator and without it.

    `work` and `requests` (all of them, Lease and watches included) are the operator's in that night, `ordinary` its
    requests for a run beside which nothing else happens.
    """
    found = per_run(work, runs, "night_")
    difference = with_operator.core_seconds - without.core_seconds
    merged = max(1.0, ordinary / found["night_requests_per_run"]) if found["night_requests_per_run"] else 1.0
    each = max(0.0, difference) / max(1, requests)
    hours_of_rest = max(0.0, NIGHT_HOURS - with_operator.seconds / 3600)
    return found | {
        "night_with_operator_core_s": round(with_operator.core_seconds, 1),
        "night_without_operator_core_s": round(without.core_seconds, 1),
        "night_difference_core_s": round(difference, 1),
        "night_unmerged_core_s": round(difference * merged, 1),
        "night_rest_core_s": round(3600 * hours_of_rest * rest.requests / rest.seconds * each, 1),
        "night_idle_percent": round(100 * with_operator.idle_seconds / with_operator.seconds / cores, 1),
        "night_minutes": round(with_operator.seconds / 60, 1),
    }
