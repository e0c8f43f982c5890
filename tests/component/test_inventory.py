"""Which pipelines there are, by the lists of watches, and what happens when a watch has to list anew."""

import asyncio
from collections.abc import Callable, Collection, Sequence

import pytest

from ingestion_operator.controllers import inventory as module
from ingestion_operator.controllers.inventory import Inventory, follow_relists
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.first_round import FirstSight, first_round
from ingestion_operator.kube.watching import Page
from ingestion_operator.ports import JOBS, PIPELINES, PODS, ClusterApi, Kind
from ingestion_operator.refresh import PipelineKey, Refresher
from ingestion_operator.reporter import Reporter
from ingestion_operator.settings import Settings
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.objects import NAMESPACE, job, manifest
from tests.support.waiting import until

A, B, ELSEWHERE = PipelineKey(NAMESPACE, "a"), PipelineKey(NAMESPACE, "b"), PipelineKey("elsewhere", "a")
SEEN = ("uid", 1, "")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses a hundredth as long, so that the tests wait less."""
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def gone() -> list[PipelineKey]:
    return []


@pytest.fixture
def inventory(gone: list[PipelineKey]) -> Inventory:
    found = Inventory(gone.append)
    for key in (A, B, ELSEWHERE):
        found.note(key, SEEN)
    return found


def page(
    kind: Kind = PIPELINES, *keys: PipelineKey, namespace: str = NAMESPACE, is_first: bool = True, is_last: bool = True
) -> Page:
    items = [{"metadata": {"namespace": key.namespace, "name": key.name}} for key in keys]
    return Page(kind.plural, namespace, items, is_first=is_first, is_last=is_last)


def missed(inventory: Inventory) -> set[str] | None:
    """What may have been missed by now, None for nothing."""

    async def play() -> set[str]:
        async with asyncio.timeout(0.2):
            return await inventory.missed()

    try:
        return asyncio.run(play())
    except TimeoutError:
        return None


@pytest.mark.parametrize(
    ("seen", "is_news"),
    [(SEEN, False), (("uid", 2, ""), True), (("other", 1, ""), True), (("uid", 1, "now"), True)],
    ids=["the same", "changed", "made anew", "to be killed"],
)
def test_a_pipeline_is_news_if_it_has_changed(inventory: Inventory, seen: tuple[str, int, str], is_news: bool) -> None:
    assert inventory.note(A, seen) is is_news


def test_a_pipeline_that_a_list_of_its_namespace_does_not_show_has_gone(
    inventory: Inventory, gone: list[PipelineKey]
) -> None:
    inventory.listed(page(PIPELINES, A))
    assert gone == [B]
    assert list(inventory) == [A, ELSEWHERE]


def test_a_list_of_the_whole_cluster_counts_for_all_namespaces(inventory: Inventory, gone: list[PipelineKey]) -> None:
    inventory.listed(page(PIPELINES, B, namespace=""))
    assert gone == [A, ELSEWHERE]


def test_a_list_counts_when_its_last_page_is_there(inventory: Inventory, gone: list[PipelineKey]) -> None:
    inventory.listed(page(PIPELINES, A, is_last=False))
    assert gone == []
    inventory.listed(page(PIPELINES, B, is_first=False))
    assert gone == []
    inventory.listed(page(PIPELINES, A, B, is_last=False))  # broken off
    inventory.listed(page(PIPELINES, A))
    assert gone == [B]


def test_nothing_was_missed_before_the_first_list_is_complete(inventory: Inventory) -> None:
    assert not inventory.listed(page(JOBS, is_last=False))
    assert not inventory.listed(page(JOBS))  # begun anew
    assert not inventory.listed(page(PODS))
    assert missed(inventory) is None


@pytest.mark.parametrize("kind", [PIPELINES, JOBS, PODS], ids=lambda kind: kind.plural)
def test_a_second_list_tells_once_that_something_may_have_been_missed(inventory: Inventory, kind: Kind) -> None:
    inventory.listed(page(kind, A, B))
    assert inventory.listed(page(kind, A, B))
    assert missed(inventory) == {NAMESPACE}
    assert missed(inventory) is None


def test_lists_that_come_together_are_told_together_when_the_last_is_complete(inventory: Inventory) -> None:
    for namespace in ("one", "two"):
        inventory.listed(page(JOBS, namespace=namespace))
    inventory.listed(page(JOBS, namespace="one"))
    inventory.listed(page(JOBS, namespace="two", is_last=False))
    assert missed(inventory) is None
    inventory.listed(page(JOBS, namespace="two", is_first=False))
    assert missed(inventory) == {"one", "two"}


def test_a_list_that_does_not_end_holds_back_the_others_for_a_time_only(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSES", 3)
    for kind in (JOBS, PODS):
        inventory.listed(page(kind))
    inventory.listed(page(JOBS))
    inventory.listed(page(PODS, is_last=False))
    assert missed(inventory) == {NAMESPACE}


class Stage:
    """The real queue and the real look over a cluster in memory, of which no event tells."""

    def __init__(
        self, cluster: FakeCluster, clock: FakeClock, refresher_over: Callable[[ClusterApi], Refresher]
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._refresher_over = refresher_over
        self.looked_at: list[PipelineKey] = []

    def listed_anew(self, *namespaces: str) -> None:
        """Play until every pipeline that had to be looked at was."""
        asyncio.run(self._play(namespaces))

    async def _play(self, namespaces: Sequence[str]) -> None:
        refresher = self._refresher_over(self._cluster)

        def look(key: PipelineKey, pods: list[dict[str, object]]) -> None:
            self.looked_at.append(key)
            refresher.refresh(key, pods)

        queue = RefreshQueue(look, self._clock)
        inventory = Inventory(queue.forget)
        for key in (A, B, ELSEWHERE):
            inventory.note(key, SEEN)

        def look_at_all(found: Collection[str]) -> FirstSight:
            return first_round(self._cluster, found, self._refresher_over)

        tasks = [
            asyncio.create_task(queue.run()),
            asyncio.create_task(follow_relists(inventory, queue, self._clock, look_at_all)),
        ]
        for namespace in (*namespaces, *namespaces):
            inventory.listed(page(JOBS, namespace=namespace))
        # All are marked at once.
        await until("all were looked at", lambda: bool(self.looked_at) and not queue.depth and not queue.busy)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def stage(cluster: FakeCluster, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter) -> Stage:
    """Three pipelines at rest, the first with a run."""

    def refresher_over(api: ClusterApi) -> Refresher:
        return Refresher(api, lambda: settings_in_force[-1], clock, reporter)

    refresher = refresher_over(cluster)
    for key in (A, B, ELSEWHERE):
        cluster.put(PIPELINES, manifest(key.name, key.namespace))
        refresher.refresh(key, [])
    cluster.put(JOBS, job("a-1", pipeline_name="a"))
    for _ in range(2):
        refresher.refresh(A, [])
    return Stage(cluster, clock, refresher_over)


def test_a_run_whose_job_went_unseen_is_ended_and_what_is_at_rest_is_not_looked_at(
    stage: Stage, cluster: FakeCluster
) -> None:
    cluster.delete(JOBS, NAMESPACE, "a-1")
    stage.listed_anew(NAMESPACE)
    (run,) = (cluster.get(PIPELINES, NAMESPACE, "a") or {})["status"]["runs"]
    assert (run["state"], run["reason"]) == ("failed", "JobDeleted")
    assert set(stage.looked_at) == {A}


def test_only_pipelines_of_the_namespace_that_was_listed_are_looked_at(stage: Stage, cluster: FakeCluster) -> None:
    for key in (A, B, ELSEWHERE):
        cluster.delete(PIPELINES, key.namespace, key.name)
    stage.listed_anew(NAMESPACE)
    assert set(stage.looked_at) == {A, B}
    stage.looked_at.clear()
    stage.listed_anew("")
    assert set(stage.looked_at) == {A, B, ELSEWHERE}
