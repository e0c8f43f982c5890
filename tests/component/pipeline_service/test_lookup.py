"""Finding pipelines by the bare names that OpenMetadata sends, in the cache and live."""

import pytest

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import NotFound, Rejected, Unavailable
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.lookup import LIST_PAUSE, PipelineLookup
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAMESPACE, Body, manifest
from testing.reconciling import sync

MANY = 40


class Harness:
    """A cluster with pipelines of every kind, and a cache that knows what it had at first."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        for number in range(MANY):
            self.apply(f"applied-{number}", f'shop."nightly.{number}"')
        self.cluster.put(PIPELINES, manifest("plain"))
        self.deploy("weekly")
        self.store = Store([""])
        self.is_current = True
        sync(self.store, self.cluster)
        self.cached = self.directory(CacheAccess(NAMESPACE, self.store, lambda: self.is_current))
        self.live = self.directory(CacheAccess(NAMESPACE))

    def directory(self, cache: CacheAccess) -> PipelineLookup:
        return PipelineLookup(self.cluster, NAMESPACE, self.clock, cache)

    def apply(self, name: str, full_name: str) -> None:
        self.cluster.put(PIPELINES, manifest(name, fullyQualifiedName=full_name))

    def deploy(self, name: str) -> Body:
        body = manifest(resource_name(name), fullyQualifiedName=f"shop.{name}")
        body["metadata"]["labels"] = {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY}
        body["metadata"]["annotations"] = {constants.ANNOTATION_ENTITY_NAME: name}
        return self.cluster.put(PIPELINES, body)

    @property
    def lists(self) -> int:
        return sum(call.verb == "list" for call in self.cluster.calls)


@pytest.fixture
def harness() -> Harness:
    return Harness()


@pytest.fixture(params=["cached", "live"])
def directory(request: pytest.FixtureRequest, harness: Harness) -> PipelineLookup:
    found: PipelineLookup = getattr(harness, request.param)
    return found


def test_each_is_found_by_its_bare_name(directory: PipelineLookup) -> None:
    assert directory.find("nightly.7").name == directory.find_live("nightly.7").name == "applied-7"
    assert directory.find("plain").name == directory.find_live("plain").name == "plain"
    assert directory.find("weekly").name == directory.find_live("weekly").name == resource_name("weekly")


@pytest.mark.parametrize("name", ["applied-7", "nightly", resource_name("weekly")])
def test_no_other_name_is_found(directory: PipelineLookup, name: str) -> None:
    assert directory.get_live(name) is None
    for find in (directory.find, directory.find_live):
        with pytest.raises(NotFound, match=f"no pipeline '{name}'"):
            find(name)


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud800"])
def test_what_is_not_a_name_is_refused(directory: PipelineLookup, name: str) -> None:
    for find in (directory.find, directory.find_live, directory.get_live):
        with pytest.raises(Rejected, match="'name'"):
            find(name)


def test_two_applied_ones_of_a_name_are_refused(harness: Harness, directory: PipelineLookup) -> None:
    harness.apply("twin", "crm.plain")
    sync(harness.store, harness.cluster)
    for find in (directory.find, directory.find_live, directory.get_live):
        with pytest.raises(Rejected, match="plain, twin"):
            find("plain")


def test_a_deployed_one_comes_before_an_applied_one(harness: Harness, directory: PipelineLookup) -> None:
    harness.apply("twin", "crm.weekly")
    sync(harness.store, harness.cluster)
    assert directory.find("weekly").name == directory.find_live("weekly").name == resource_name("weekly")


def test_what_the_cache_knows_costs_no_call(harness: Harness) -> None:
    for number in range(MANY):
        harness.cached.find(f"nightly.{number}")
    harness.cached.find("weekly")
    assert harness.cluster.calls == []


def test_an_applied_one_is_read_live_without_a_list(harness: Harness) -> None:
    harness.cluster.edit(PIPELINES, NAMESPACE, "plain", lambda body: body["spec"].update(suspend=True))
    assert harness.cached.find_live("plain").body()["spec"]["suspend"] is True
    assert harness.lists == 0


def test_one_that_the_cache_does_not_have_yet_is_found(harness: Harness) -> None:
    harness.apply("new", "shop.new")
    harness.deploy("other")
    assert harness.cached.find("new").name == "new"
    assert harness.cached.find("other").name == resource_name("other")
    assert harness.lists == 1
    assert harness.cached.find("new").name == "new"
    assert harness.lists == 1


def test_unknown_names_cost_one_list_in_a_while(harness: Harness) -> None:
    for number in range(MANY):
        with pytest.raises(NotFound):
            harness.cached.find(f"unknown-{number}")
    assert harness.lists == 1
    harness.clock.forward(seconds=LIST_PAUSE.total_seconds())
    with pytest.raises(NotFound):
        harness.cached.find("unknown")
    assert harness.lists == 2


def test_a_list_that_fails_makes_no_name_unknown(harness: Harness) -> None:
    for _ in range(2):
        harness.cluster.fail("list", Unavailable("away"))
        with pytest.raises(Unavailable):
            harness.cached.find("unknown")


def test_a_deploy_beside_a_cache_makes_no_list(harness: Harness) -> None:
    assert harness.cached.get_live("new") is None
    assert harness.lists == 0


def test_a_pipeline_that_is_gone_is_not_written_to(harness: Harness) -> None:
    harness.cluster.delete(PIPELINES, NAMESPACE, "plain")
    harness.cluster.delete(PIPELINES, NAMESPACE, resource_name("weekly"))
    for name in ("plain", "weekly"):
        assert harness.cached.find(name).bare_name == name
        with pytest.raises(NotFound):
            harness.cached.find_live(name)


def test_one_that_is_created_again_is_found(harness: Harness) -> None:
    harness.cluster.edit(
        PIPELINES,
        NAMESPACE,
        resource_name("weekly"),
        lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z"),
    )
    sync(harness.store, harness.cluster)
    with pytest.raises(NotFound):
        harness.cached.find("weekly")
    harness.cluster.delete(PIPELINES, NAMESPACE, resource_name("weekly"))
    uid = harness.deploy("weekly")["metadata"]["uid"]
    assert harness.cached.find("weekly").uid == harness.cached.find_live("weekly").uid == uid


def test_a_cache_that_is_not_current_is_not_read(harness: Harness) -> None:
    harness.is_current = False
    harness.cluster.delete(PIPELINES, NAMESPACE, "plain")
    with pytest.raises(NotFound):
        harness.cached.find("plain")
    harness.apply("new", "shop.new")
    assert harness.cached.get_live("new") is not None


def test_a_cache_that_has_not_synced_is_not_read(harness: Harness) -> None:
    directory = harness.directory(CacheAccess(NAMESPACE, Store([NAMESPACE])))
    assert directory.find("plain").name == "plain"
