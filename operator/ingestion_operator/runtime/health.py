"""Whether this process works: loops that come round, threads that end their work, tasks that have not died.

Nothing outside of the process counts: a restart does not help against an API server that is away.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from ingestion_operator.runtime.thread_pool import WatchedThreads

_logger = logging.getLogger(__name__)

LOOP_SECONDS: Final = 60.0
"""A loop has to come round at least that often; each of ours does so every few seconds, or every half minute."""

CALL_SECONDS: Final = 900.0
"""A thread may take that long for one piece of work. Each call in it is bounded by seconds, and an API server
that answers nothing makes a reconcile take a few minutes at most."""


class Health:
    """Collects the heartbeats of loops and the results of checks."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._heartbeats: dict[str, tuple[float, float]] = {}
        self._checks: list[Callable[[], str]] = []

    def loop(self, name: str, *, within: float = LOOP_SECONDS) -> Callable[[], None]:
        """Return what the loop of that name must call at least every `within` seconds, from now on."""

        def beat() -> None:
            self._heartbeats[name] = (self._monotonic(), within)

        beat()
        return beat

    def check(self, problem: Callable[[], str]) -> None:
        """Include a check: `problem` returns what is wrong, or an empty text."""
        self._checks.append(problem)

    def watch(self, threads: WatchedThreads, *, within: float = CALL_SECONDS) -> None:
        """Require that the pool ends each piece of work within that many seconds."""

        def problem() -> str:
            seconds = threads.longest_seconds()
            if seconds <= within:
                return ""
            return f"a thread of {threads.name!r} has worked on one piece of work for {seconds:.0f} s"

        self.check(problem)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each; empty when the process works."""
        now = self._monotonic()
        silent = [
            f"the loop {name!r} has not come round for {now - last:.0f} s"
            for name, (last, within) in self._heartbeats.items()
            if now - last > within
        ]
        return silent + [text for check in self._checks if (text := check())]


class TaskSupervisor:
    """Background tasks that must live as long as the process: one that ends is logged and makes it unhealthy."""

    def __init__(self, health: Health) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._is_stopping = False
        health.check(lambda: "; ".join(self._problems.values()))

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> asyncio.Task[None]:
        """Run `work` as a task; `may_end` allows it to return. The name must not be in use."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"a task {name!r} was started before")
        task = self._tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._ended, name, may_end=may_end))
        return task

    async def stop(self, timeout: float) -> list[str]:  # noqa: ASYNC109  the bound of an orderly end, not of a call
        """Cancel all tasks, wait for them up to `timeout` seconds, and return the names of those that still work."""
        self._is_stopping = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=timeout)
        return [name for name, task in self._tasks.items() if not task.done()]

    def _ended(self, name: str, task: asyncio.Task[None], *, may_end: bool) -> None:
        # The error is read first: asyncio would report it again otherwise.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The type only: the text of an error may hold what does not belong on an open port.
            problem = f"the task {name!r} ended with {type(error).__name__}"
        elif self._is_stopping or (may_end and not task.cancelled()):
            return
        else:
            problem = f"the task {name!r} was cancelled" if task.cancelled() else f"the task {name!r} has ended"
        _logger.error("%s", problem[0].upper() + problem[1:], exc_info=error)
        self._problems[name] = problem
