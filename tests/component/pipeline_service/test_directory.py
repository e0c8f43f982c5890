"""Finding pipelines by the bare names that OpenMetadata sends, in the cache and live."""

import pytest

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import NotFound, Rejected, Unavailable
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.lookup import LIST_PAUSE, Directory
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAMESPACE, Body, manifest
from testing.reconciling import sync

MANY = 40


class Bed:
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

    def directory(self, cache: CacheAccess) -> Directory:
        return Directory(self.cluster, NAMESPACE, self.clock, cache)

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
def bed() -> Bed:
    return Bed()


@pytest.fixture(params=["cached", "live"])
def directory(request: pytest.FixtureRequest, bed: Bed) -> Directory:
    found: Directory = getattr(bed, request.param)
    return found


def test_each_is_found_by_its_bare_name(directory: Directory) -> None:
    assert directory.find("nightly.7").name == directory.find_live("nightly.7").name == "applied-7"
    assert directory.find("plain").name == directory.find_live("plain").name == "plain"
    assert directory.find("weekly").name == directory.find_live("weekly").name == resource_name("weekly")


@pytest.mark.parametrize("name", ["applied-7", "nightly", resource_name("weekly")])
def test_no_other_name_is_found(directory: Directory, name: str) -> None:
    assert directory.get_live(name) is None
    for find in (directory.find, directory.find_live):
        with pytest.raises(NotFound, match=f"no pipeline '{name}'"):
            find(name)


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud800"])
def test_what_is_no_name_is_refused(directory: Directory, name: str) -> None:
    for find in (directory.find, directory.find_live, directory.get_live):
        with pytest.raises(Rejected, match="'name'"):
            find(name)


def test_two_applied_ones_of_a_name_are_refused(bed: Bed, directory: Directory) -> None:
    bed.apply("twin", "crm.plain")
    sync(bed.store, bed.cluster)
    for find in (directory.find, directory.find_live, directory.get_live):
        with pytest.raises(Rejected, match="plain, twin"):
            find("plain")


def test_a_deployed_one_comes_before_an_applied_one(bed: Bed, directory: Directory) -> None:
    bed.apply("twin", "crm.weekly")
    sync(bed.store, bed.cluster)
    assert directory.find("weekly").name == directory.find_live("weekly").name == resource_name("weekly")


def test_what_the_cache_knows_costs_no_call(bed: Bed) -> None:
    for number in range(MANY):
        bed.cached.find(f"nightly.{number}")
    bed.cached.find("weekly")
    assert bed.cluster.calls == []


def test_an_applied_one_is_read_live_without_a_list(bed: Bed) -> None:
    bed.cluster.edit(PIPELINES, NAMESPACE, "plain", lambda body: body["spec"].update(suspend=True))
    assert bed.cached.find_live("plain").body()["spec"]["suspend"] is True
    assert bed.lists == 0


def test_one_that_the_cache_does_not_have_yet_is_found(bed: Bed) -> None:
    bed.apply("new", "shop.new")
    bed.deploy("other")
    assert bed.cached.find("new").name == "new"
    assert bed.cached.find("other").name == resource_name("other")
    assert bed.lists == 1
    assert bed.cached.find("new").name == "new"
    assert bed.lists == 1


def test_unknown_names_cost_one_list_in_a_while(bed: Bed) -> None:
    for number in range(MANY):
        with pytest.raises(NotFound):
            bed.cached.find(f"unknown-{number}")
    assert bed.lists == 1
    bed.clock.forward(seconds=LIST_PAUSE.total_seconds())
    with pytest.raises(NotFound):
        bed.cached.find("unknown")
    assert bed.lists == 2


def test_a_list_that_fails_makes_no_name_unknown(bed: Bed) -> None:
    for _ in range(2):
        bed.cluster.fail("list", Unavailable("away"))
        with pytest.raises(Unavailable):
            bed.cached.find("unknown")


def test_a_deploy_beside_a_cache_makes_no_list(bed: Bed) -> None:
    assert bed.cached.get_live("new") is None
    assert bed.lists == 0


def test_a_pipeline_that_is_gone_is_not_written_to(bed: Bed) -> None:
    bed.cluster.delete(PIPELINES, NAMESPACE, "plain")
    bed.cluster.delete(PIPELINES, NAMESPACE, resource_name("weekly"))
    for name in ("plain", "weekly"):
        assert bed.cached.find(name).bare_name == name
        with pytest.raises(NotFound):
            bed.cached.find_live(name)


def test_one_that_is_created_again_is_found(bed: Bed) -> None:
    bed.cluster.edit(
        PIPELINES,
        NAMESPACE,
        resource_name("weekly"),
        lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z"),
    )
    sync(bed.store, bed.cluster)
    with pytest.raises(NotFound):
        bed.cached.find("weekly")
    bed.cluster.delete(PIPELINES, NAMESPACE, resource_name("weekly"))
    uid = bed.deploy("weekly")["metadata"]["uid"]
    assert bed.cached.find("weekly").uid == bed.cached.find_live("weekly").uid == uid


def test_a_cache_that_is_not_current_is_not_read(bed: Bed) -> None:
    bed.is_current = False
    bed.cluster.delete(PIPELINES, NAMESPACE, "plain")
    with pytest.raises(NotFound):
        bed.cached.find("plain")
    bed.apply("new", "shop.new")
    assert bed.cached.get_live("new") is not None


def test_a_cache_that_has_not_synced_is_not_read(bed: Bed) -> None:
    directory = bed.directory(CacheAccess(NAMESPACE, Store([NAMESPACE])))
    assert directory.find("plain").name == "plain"
