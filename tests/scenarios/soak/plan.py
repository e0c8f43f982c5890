"""What is done to which pipeline, and in which order: decided by a seed alone; pure."""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Kind = Literal["create", "change", "run", "run manually", "kill", "pause", "resume", "read", "delete"]
Way = Literal["gateway", "kubernetes"]

APPLIED: Final = "applied"
"""Pipelines that people apply; the gateway may run, pause and stop them, but neither change nor delete them."""

DEPLOYED: Final = "deployed"
"""Pipelines that OpenMetadata's server deploys; people may delete them with kubectl all the same."""

_WEIGHTS: Final[dict[Kind, int]] = {
    "run": 40, "read": 14, "change": 12, "kill": 12, "run manually": 8, "pause": 8, "delete": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that a user does."""

    number: int
    kind: Kind
    pipeline: str
    way: Way
    value: int
    """What a create or a change sets: see `callers`."""
    run_id: str
    """Of a run through the gateway."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as the file of steps has it."""
        return asdict(self)


def names(size: int) -> list[str]:
    """Return the names of that many pipelines, half of each origin."""
    return [f"{DEPLOYED if number % 2 else APPLIED}-{number:02}" for number in range(size)]


def steps(seed: int, size: int) -> Iterator[Step]:
    """Yield steps without end.

    Each is possible if all before it were executed: what happens to them meanwhile changes nothing about the
    next, so that a seed determines everything.
    """
    chance = random.Random(seed)  # noqa: S311  a seed is what it is for
    paused: dict[str, bool] = {}
    number = 0
    while True:
        number += 1
        name = chance.choice(names(size))
        kind = _kind(chance, name, paused)
        yield Step(number, kind, name, _way(chance, kind, name), chance.randrange(1000), _uuid(chance))
        if kind == "delete":
            del paused[name]
        elif kind in ("create", "pause", "resume"):
            paused[name] = kind == "pause"


def _kind(chance: random.Random, name: str, paused: dict[str, bool]) -> Kind:
    if name not in paused:
        return "create"
    (kind,) = chance.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))
    return "resume" if kind == "pause" and paused[name] else kind


def _way(chance: random.Random, kind: Kind, name: str) -> Way:
    either: Way = chance.choice(("gateway", "kubernetes"))
    if kind in ("run", "read"):
        return "gateway"
    if kind == "run manually":
        return "kubernetes"
    if kind in ("create", "change", "delete"):
        if name.startswith(APPLIED):
            return "kubernetes"
        return either if kind == "delete" else "gateway"
    return either


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
