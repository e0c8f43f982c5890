"""Finding pipelines that somebody applied by the bare names that OpenMetadata sends."""

from collections.abc import Sequence
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.pipeline_service.directory import Directory
from ingestion_operator.ports import PIPELINES, Kind
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.objects import NAMESPACE, manifest

MANY = 40


class OlderDefinition(FakeCluster):
    """An API server whose definition has no column with the full name."""

    def rows(self, kind: Kind, namespace: str, *, without: str) -> Sequence[dict[str, Any]]:
        return [{"Name": row["Name"]} for row in super().rows(kind, namespace, without=without)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def filled(cluster: FakeCluster) -> FakeCluster:
    for number in range(MANY):
        cluster.put(PIPELINES, manifest(f"applied-{number}", fullyQualifiedName=f'shop."nightly.{number}"'))
    cluster.put(PIPELINES, manifest("plain"))
    deployed = manifest("deployed", fullyQualifiedName="shop.deployed")
    deployed["metadata"]["labels"] = {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY}
    cluster.put(PIPELINES, deployed)
    return cluster


def lists(cluster: FakeCluster) -> int:
    return sum(call.verb == "list" for call in cluster.calls)


@pytest.mark.parametrize("cluster", [FakeCluster(), OlderDefinition()], ids=["this definition", "an older one"])
def test_each_is_found_by_the_last_part_of_its_full_name_or_by_its_own(cluster: FakeCluster, clock: FakeClock) -> None:
    directory = Directory(filled(cluster), NAMESPACE, clock)
    assert directory.find("nightly.7")["metadata"]["name"] == "applied-7"
    assert directory.find("plain")["metadata"]["name"] == "plain"
    for unknown in ("applied-7", "nightly", "deployed"):
        with pytest.raises(NotFound):
            directory.find(unknown)


def test_many_are_found_by_one_list_until_it_is_old(clock: FakeClock) -> None:
    cluster = filled(FakeCluster())
    directory = Directory(cluster, NAMESPACE, clock)
    for number in range(MANY):
        assert directory.find(f"nightly.{number}")["metadata"]["name"] == f"applied-{number}"
    assert lists(cluster) == 1
    clock.forward(seconds=31)
    directory.find("nightly.0")
    assert lists(cluster) == 2


def test_one_that_was_applied_a_moment_ago_is_found_and_by_a_deploy_too(clock: FakeClock) -> None:
    cluster = filled(FakeCluster())
    directory = Directory(cluster, NAMESPACE, clock)
    directory.find("plain")
    cluster.put(PIPELINES, manifest("new", fullyQualifiedName="shop.new"))
    found = directory.find_fresh("new")
    assert found is not None
    assert directory.find("new") == found


def test_a_second_one_of_a_name_is_noticed_by_a_deploy_at_once_and_by_others_when_the_list_is_old(
    clock: FakeClock,
) -> None:
    cluster = filled(FakeCluster())
    directory = Directory(cluster, NAMESPACE, clock)
    directory.find("plain")
    cluster.put(PIPELINES, manifest("twin", fullyQualifiedName="crm.plain"))
    assert directory.find("plain")["metadata"]["name"] == "plain"
    clock.forward(seconds=31)
    for _ in range(2):
        with pytest.raises(Rejected, match="plain, twin"):
            directory.find("plain")
    with pytest.raises(Rejected, match="plain, twin"):
        directory.find_fresh("plain")


@pytest.mark.parametrize("gone", [True, False], ids=["is gone", "is called something else"])
def test_one_that_meanwhile_is_not_found(clock: FakeClock, gone: bool) -> None:
    cluster = filled(FakeCluster())
    directory = Directory(cluster, NAMESPACE, clock)
    directory.find("plain")
    if gone:
        cluster.delete(PIPELINES, NAMESPACE, "plain", propagation="Background")
    else:
        cluster.edit(PIPELINES, NAMESPACE, "plain", lambda body: body["spec"].update(fullyQualifiedName="shop.other"))
    with pytest.raises(NotFound):
        directory.find("plain")
