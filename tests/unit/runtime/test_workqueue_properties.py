"""What holds of the work queue for any order of requests and failures, with its own loop and threads."""

import asyncio
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.workqueue import Priority, WorkQueue
from testing.fake_clock import FakeClock
from testing.waiting import until

KEYS = [PipelineKey("data", name) for name in "abcd"]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Add:
    key: PipelineKey
    after: float
    priority: Priority


ADDS = st.builds(Add, st.sampled_from(KEYS), st.sampled_from([0.0, 0.002, 0.01]), st.sampled_from(Priority))
PAUSES = st.sampled_from([0.0, 0.001, 0.005])
OUTCOMES = st.sampled_from([None, None, None, "conflict", "away", "bug", "requeue"])


class Worker:
    """Reconciles with prescribed outcomes, and checks that no pipeline has two workers."""

    def __init__(self, outcomes: list[str | None]) -> None:
        self.outcomes = outcomes
        self.lock = threading.Lock()
        self.busy = set[PipelineKey]()
        self.most = 0
        self.overlaps = 0
        self.starts: defaultdict[PipelineKey, list[float]] = defaultdict(list)
        self.wanted: defaultdict[PipelineKey, float] = defaultdict(lambda: float("-inf"))
        """After when a pipeline must have a start: when it was added or failed last."""

    def __call__(self, key: PipelineKey) -> datetime | None:
        with self.lock:
            self.overlaps += key in self.busy
            self.busy.add(key)
            self.most = max(self.most, len(self.busy))
            self.starts[key].append(time.monotonic())
            outcome = self.outcomes.pop() if self.outcomes else None
        time.sleep(0.001)
        with self.lock:
            self.busy.discard(key)
            if outcome is not None:
                self.wanted[key] = time.monotonic()
        errors: dict[str | None, Exception] = {
            "conflict": Conflict("changed"),
            "away": Unavailable("away"),
            "bug": KeyError("bug"),
        }
        if outcome in errors:
            raise errors[outcome]
        return NOW if outcome == "requeue" else None

    def is_missing(self) -> set[PipelineKey]:
        """The pipelines that were added or failed, and have not been reconciled since."""
        with self.lock:
            return {key for key, since in self.wanted.items() if max(self.starts[key], default=-1.0) < since}


@given(st.lists(st.tuples(ADDS, PAUSES), min_size=1, max_size=30), st.lists(OUTCOMES, max_size=20), st.integers(1, 3))
def test_no_pipeline_is_lost_and_none_has_two_workers(
    adds: list[tuple[Add, float]], outcomes: list[str | None], workers: int
) -> None:
    worker = Worker(outcomes)

    async def run() -> None:
        queue = WorkQueue(worker, FakeClock(NOW), workers=workers, debounce=0.001, retry=Backoff(0.001, 0.004))
        dispatch = asyncio.create_task(queue.run())
        for add, pause in adds:
            with worker.lock:
                worker.wanted[add.key] = time.monotonic()
            queue.add(add.key, after=add.after, priority=add.priority)
            await asyncio.sleep(pause)
        await until("nothing is left", lambda: not queue._requests and not queue._processing)
        assert queue._failures == {}
        assert await queue.shutdown(5)
        await dispatch

    asyncio.run(run())
    assert worker.is_missing() == set()
    assert worker.overlaps == 0
    assert worker.most <= workers


@given(st.lists(st.sampled_from(Priority), min_size=1, max_size=40), st.integers(1, 3))
def test_normal_pipelines_have_their_share_in_any_mixture(priorities: list[Priority], workers: int) -> None:
    keys = {PipelineKey("data", f"p{number:02}"): priority for number, priority in enumerate(priorities)}
    order = list[Priority]()

    def reconcile(key: PipelineKey) -> None:
        order.append(keys[key])

    async def run() -> None:
        queue = WorkQueue(reconcile, FakeClock(NOW), workers=workers)
        for key, priority in keys.items():
            queue.add(key, after=0, priority=priority)
        dispatch = asyncio.create_task(queue.run())
        await until("all are reconciled", lambda: len(order) == len(keys))
        assert await queue.shutdown(5)
        await dispatch

    asyncio.run(run())
    left = priorities.count(Priority.NORMAL)
    since = 0
    for priority in order:
        since = 0 if priority is Priority.NORMAL or not left else since + 1
        left -= priority is Priority.NORMAL
        assert since <= 3 + workers  # threads may note their start in another order
