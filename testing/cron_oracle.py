"""The library by which Kubernetes' CronJob controller computes schedules, as a program that answers questions."""

import os
import subprocess
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from testcluster import binaries


class Robfig:
    """The library of the CronJob controller; moments are seconds since 1970."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the running program of robfig/main.go."""
        self._process = process

    def next(self, cron: str, zone: str, after: int, count: int) -> list[int]:
        """Return the next `count` ticks after a moment, or fewer where there are none."""
        return [int(word) for word in self._ask("next", cron, zone, str(after), str(count)).split()]

    def last(self, cron: str, zone: str, since: int, until: int) -> int | None:
        """Return the last tick that a walk from `since` finds until `until`."""
        answer = self._ask("last", cron, zone, str(since), str(until))
        return int(answer) if answer else None

    def accepts(self, cron: str) -> bool:
        """Return whether Kubernetes accepts the expression."""
        return not self._ask("parse", cron).startswith("error: ")

    def _ask(self, *words: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("|".join(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().removesuffix("\n")


@contextmanager
def robfig() -> Iterator[Robfig]:
    """Run the program; it reads the same zones as Python, those of the machine or else of the package."""
    of_the_machine = [folder for folder in zoneinfo.TZPATH if (Path(folder) / "Europe" / "Zurich").is_file()]
    zones = [*of_the_machine, str(files("tzdata") / "zoneinfo")][0]
    with subprocess.Popen(
        [binaries.ensure_cron_oracle()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"ZONEINFO": zones},
    ) as process:
        yield Robfig(process)  # the end of its input ends it
