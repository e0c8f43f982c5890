"""Operator and gateway as processes that are ended and started again, and what each of their lives has cost."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

from testing.process import open_files, resident_mib, threads_of
from tests.scenarios.soak.flatness import Lives

_T = TypeVar("_T")
_SAMPLE_SECONDS: Final = 2.0
MEASURES: Final = {"memory_mib": resident_mib, "threads": threads_of, "files": open_files}
"""What is sampled of a process, by name."""


@dataclass
class Program(Generic[_T]):
    """One of the two; `begin` runs it until its block ends, with its log in the folder that it is given."""

    name: str
    folder: Path
    begin: Callable[[Path], AbstractContextManager[_T]]
    pid_of: Callable[[_T], int]
    lives: int = 0
    pid: int = 0
    """0 while it is away."""
    _running: ExitStack = field(default_factory=ExitStack)
    _is: _T | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pid = 0
        self._running.close()

    @property
    def running(self) -> _T:
        """Return what `begin` gave of the present life."""
        assert self._is is not None, f"the {self.name} has not been started"
        return self._is

    def start(self) -> None:
        """Start it, and wait until it is up."""
        self.lives += 1
        folder = self.folder / f"{self.name}-{self.lives}"
        folder.mkdir()
        self._is = self._running.enter_context(self.begin(folder))
        self.pid = self.pid_of(self._is)

    def end(self, how: signal.Signals) -> None:
        """End it by SIGKILL, or in order, and wait until it has ended."""
        pid, self.pid = self.pid, 0
        if how == signal.SIGKILL:
            os.kill(pid, how)
        self._running.close()


class Sampling:
    """Samples programs until the block ends."""

    def __init__(self, *programs: Program[Any]) -> None:
        self._programs = programs
        self._begin = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)
        self.lives: dict[str, dict[str, Lives]] = {p.name: {measure: {} for measure in MEASURES} for p in programs}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            for program in self._programs:
                pid, life = program.pid, program.lives
                if not pid:
                    continue
                try:
                    found = {name: float(measure(pid)) for name, measure in MEASURES.items()}
                except (OSError, ValueError):
                    continue  # it has just ended
                moment = round(time.monotonic() - self._begin, 1)
                for name, value in found.items():
                    self.lives[program.name][name].setdefault(life, []).append((moment, value))
