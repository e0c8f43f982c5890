"""From stacks as py-spy folds them to the functions and packages that were at work; pure functions."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

_FRAME: Final = re.compile(r"^(?P<function>.+?) \((?P<file>[^():]+)(?::\d+)?\)$")
_OURS: Final = "ingestion_operator"
_WAITING: Final = frozenset(
    {
        "_worker", "Condition.wait", "EpollSelector.select", "poll_wait_for_socket.<locals>.do_poll", "SSLSocket.read",
    }
)  # fmt: skip
"""Functions in which a thread has nothing to do, which py-spy cannot always detect."""


@dataclass(frozen=True, order=True)
class Frame:
    """A function, wherever in it."""

    package: str
    """The package from site-packages, a module of ours from ingestion_operator on, else `python`."""
    function: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what py-spy writes of a frame, such as `reconcile (ingestion_operator/reconcile/reconciler.py:96)`."""
        found = _FRAME.match(text)
        return cls(package_of(found["file"]), found["function"]) if found else cls("python", text)


def package_of(file: str) -> str:
    """Return what a source file belongs to: a module of ours, or a third-party package."""
    parts = file.removesuffix(".py").split("/")
    if _OURS in parts:
        module = parts[len(parts) - parts[::-1].index(_OURS) :]
        return ".".join([_OURS, *(part for part in module if part != "__init__")])
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    # py-spy shortens paths by the folders that Python imports from.
    return parts[0] if len(parts) > 1 and parts[0] not in ("", "usr", "lib") else "python"


@dataclass(frozen=True)
class Profile:
    """How many samples were in each place."""

    total: int
    own: Counter[Frame]
    """Samples in the function itself."""
    ours: Counter[Frame]
    """Samples in functions of ours and whatever they called."""
    packages: Counter[str]
    """Samples in the packages themselves; all of our modules are one."""


def profile(lines: Iterable[str]) -> Profile:
    """Count the samples in which something was done.

    A line is a folded stack: frames from the outermost on, with semicolons between them, a space, a count.
    """
    own: Counter[Frame] = Counter()
    ours: Counter[Frame] = Counter()
    packages: Counter[str] = Counter()
    for frames, count in _stacks(lines):
        innermost = frames[-1]
        if innermost.function in _WAITING:
            continue
        own[innermost] += count
        packages[_OURS if innermost.package.startswith(_OURS) else innermost.package] += count
        for frame in {frame for frame in frames if frame.package.startswith(_OURS)}:
            ours[frame] += count
    return Profile(sum(own.values()), own, ours, packages)


def _stacks(lines: Iterable[str]) -> Iterator[tuple[list[Frame], int]]:
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        frames = [Frame.parse(text) for text in stack.split(";") if _FRAME.match(text)]
        if frames:
            yield frames, int(count)
