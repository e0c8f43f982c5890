"""Liveness of this process: heartbeats of loops, durations of calls in threads, tasks that ended.

The state of other programs does not count: a restart does not help when the API server is unreachable.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from ingestion_operator.runtime.thread_pool import MonitoredThreadPool

_logger = logging.getLogger(__name__)

LOOP_SECONDS: Final = 60.0
"""Maximum time between two heartbeats of a loop. The loops here iterate at least every half minute."""

CALL_SECONDS: Final = 900.0
"""Maximum duration of one call in a thread. Each request in it has a timeout of seconds: a reconciliation takes a few
minutes at most when the API server does not respond."""


class Health:
    """Collects the heartbeats of loops and the results of checks."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._heartbeats: dict[str, tuple[float, float]] = {}
        self._checks: list[Callable[[], str]] = []

    def loop(self, name: str, *, within: float = LOOP_SECONDS) -> Callable[[], None]:
        """Return a function that the loop of that name must call at least every `within` seconds, from now on."""

        def heartbeat() -> None:
            self._heartbeats[name] = (self._monotonic(), within)

        heartbeat()
        return heartbeat

    def check(self, problem: Callable[[], str]) -> None:
        """Add a check: `problem` returns a description, or an empty text if all is well."""
        self._checks.append(problem)

    def watch(self, threads: MonitoredThreadPool, *, within: float = CALL_SECONDS) -> None:
        """Require that each call in the pool ends `within` that many seconds."""

        def problem() -> str:
            seconds = threads.longest_seconds()
            if seconds <= within:
                return ""
            return f"a thread of {threads.name!r} has been busy with one call for {seconds:.0f} s"

        self.check(problem)

    def problems(self) -> list[str]:
        """Return the problems, one sentence each; empty if the process is healthy."""
        now = self._monotonic()
        silent = [
            f"the loop {name!r} has had no heartbeat for {now - last:.0f} s"
            for name, (last, within) in self._heartbeats.items()
            if now - last > within
        ]
        return silent + [text for check in self._checks if (text := check())]


class TaskSupervisor:
    """Background tasks that must run as long as the process: an end is logged and makes the process unhealthy."""

    def __init__(self, health: Health) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._is_stopping = False
        health.check(lambda: "; ".join(self._problems.values()))

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> asyncio.Task[None]:
        """Run `work` as a task; `may_end` allows it to return. Raises ValueError if the name is in use."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"a task {name!r} exists already")
        task = self._tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._ended, name, may_end=may_end))
        return task

    async def stop(self, timeout: float) -> list[str]:  # noqa: ASYNC109  the bound of a shutdown, not of a call
        """Cancel all tasks, wait for them up to `timeout` seconds, and return the names of those that still run."""
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
            # The type only: the text of an error must not appear on a port without authentication.
            problem = f"the task {name!r} ended with {type(error).__name__}"
        elif self._is_stopping or (may_end and not task.cancelled()):
            return
        else:
            problem = f"the task {name!r} was cancelled" if task.cancelled() else f"the task {name!r} has ended"
        _logger.error("%s", problem[0].upper() + problem[1:], exc_info=error)
        self._problems[name] = problem
