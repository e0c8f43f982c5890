"""The first look at all pipelines after a start: few calls, no writes, and nothing missed."""

from collections import Counter
from collections.abc import Callable

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.first_round import FirstSight, first_round
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, ClusterApi
from ingestion_operator.refresh import PipelineKey, Refresher
from ingestion_operator.reporter import Reporter
from ingestion_operator.settings import Settings
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_sink import FakeSink
from tests.support.objects import NAMESPACE, Body, job, manifest, pod

MANY = 75
"""More than one page of them."""


def name(number: int) -> str:
    return f"pipeline-{number}"


def key(number: int) -> PipelineKey:
    return PipelineKey(NAMESPACE, name(number))


@pytest.fixture
def many(cluster: FakeCluster, refresher: Refresher) -> FakeCluster:
    """Pipelines at rest, each with a finished run."""
    for number in range(MANY):
        cluster.put(PIPELINES, manifest(name(number)))
        refresher.refresh(key(number), [])
        add_run(cluster, number, 1, condition="Complete")
        for _ in range(2):
            refresher.refresh(key(number), [])
    cluster.calls.clear()
    return cluster


def add_run(cluster: FakeCluster, number: int, run: int, condition: str | None) -> Body:
    return cluster.put(JOBS, job(f"{name(number)}-{run}", pipeline_name=name(number), condition=condition))


@pytest.fixture
def look(
    many: FakeCluster, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter
) -> Callable[..., FirstSight]:
    """Play a first round over the namespaces that it is called with."""

    def refresher_over(cluster: ClusterApi) -> Refresher:
        return Refresher(cluster, lambda: settings_in_force[-1], clock, reporter)

    return lambda *namespaces: first_round(many, namespaces, refresher_over)


@pytest.mark.parametrize("namespaces", [(NAMESPACE,), ()], ids=["one namespace", "the whole cluster"])
def test_pipelines_at_rest_cost_a_few_lists_and_no_write(
    many: FakeCluster, look: Callable[..., FirstSight], namespaces: tuple[str, ...]
) -> None:
    assert look(*namespaces).again_at.keys() == {key(number) for number in range(MANY)}
    assert many.writes == []
    counts = Counter(f"{call.verb} {call.plural}" for call in many.calls)
    assert counts == {"list ingestionpipelines": 1, "list cronjobs": 2, "list jobs": 2, "list pods": 2}


def test_it_tells_when_to_look_again_as_an_ordinary_look_does(
    refresher: Refresher, look: Callable[..., FirstSight]
) -> None:
    assert look(NAMESPACE).again_at[key(7)] == refresher.refresh(key(7), []) is not None


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda c: c.delete(CRONJOBS, NAMESPACE, name(3)), id="its CronJob is gone"),
        pytest.param(
            lambda c: c.edit(CRONJOBS, NAMESPACE, name(3), lambda body: body["spec"].update(schedule="1 1 1 1 1")),
            id="its CronJob was edited",
        ),
        pytest.param(
            lambda c: c.edit(PIPELINES, NAMESPACE, name(3), lambda body: body["spec"].update(suspend=True)),
            id="it was edited",
        ),
        pytest.param(lambda c: add_run(c, 3, 2, condition=None), id="a run is active"),
        pytest.param(lambda c: add_run(c, 3, 2, condition="Failed"), id="a run has ended"),
    ],
)
def test_what_needs_a_write_is_left_to_an_ordinary_look(
    many: FakeCluster, look: Callable[..., FirstSight], disturb: Callable[[FakeCluster], object]
) -> None:
    disturb(many)
    many.calls.clear()
    assert look(NAMESPACE).again_at.keys() == {key(number) for number in range(MANY) if number != 3}
    assert many.writes == []


def test_a_run_that_the_server_has_not_been_told_of_is_left_to_an_ordinary_look(
    many: FakeCluster, look: Callable[..., FirstSight], sink: FakeSink
) -> None:
    sink.calls.clear()
    many.edit(PIPELINES, NAMESPACE, name(3), lambda body: body["status"]["runs"][0].update(report="Pending"))
    assert key(3) not in look(NAMESPACE).again_at
    assert sink.calls == []  # a round over thousands must not wait for another server


def test_an_active_run_about_which_nothing_is_to_be_written_is_looked_at_in_the_round(
    many: FakeCluster, look: Callable[..., FirstSight], refresher: Refresher
) -> None:
    add_run(many, 3, 2, condition=None)
    refresher.refresh(key(3), [])
    many.calls.clear()
    assert key(3) in look(NAMESPACE).again_at
    assert many.writes == []


def test_an_api_server_that_fails_leaves_the_rest_to_ordinary_looks(
    many: FakeCluster, look: Callable[..., FirstSight]
) -> None:
    many.interleave("list", lambda: None, plural="jobs")
    many.fail("list", Unavailable("away", code=503), plural="jobs")
    found = look(NAMESPACE).again_at.keys()
    assert 0 < len(found) < MANY


def test_what_the_watch_lists_is_known_once_and_only_as_it_was_looked_at(
    many: FakeCluster, look: Callable[..., FirstSight]
) -> None:
    sight = look(NAMESPACE)
    same, edited = (many.get(CRONJOBS, NAMESPACE, name(number)) for number in (1, 2))
    assert same is not None
    assert edited is not None
    edited["metadata"]["resourceVersion"] = "later"
    assert [sight.knows("cronjobs", body) for body in (same, same, edited)] == [True, False, False]
    new = pod(f"{name(1)}-1-a", of=f"{name(1)}-1", pipeline_name=name(1)) | {"metadata": {**pod()["metadata"]}}
    new["metadata"]["resourceVersion"] = "1"
    assert not sight.knows(PODS.plural, new)


def test_a_pipeline_is_expected_until_a_watch_has_listed_it_or_it_is_given_up(
    many: FakeCluster, look: Callable[..., FirstSight]
) -> None:
    sight = look(NAMESPACE)
    assert sight.expects(key(1))
    assert not sight.expects(PipelineKey(NAMESPACE, "unknown"))
    body = many.get(PIPELINES, NAMESPACE, name(1))
    assert body is not None
    sight.knows(PIPELINES.plural, body)
    assert not sight.expects(key(1))
    sight.take_unheard_of()
    assert not sight.expects(key(2))


def test_what_no_watch_lists_any_more_is_looked_at_again(many: FakeCluster, look: Callable[..., FirstSight]) -> None:
    sight = look(NAMESPACE)
    for kind in (PIPELINES, CRONJOBS, JOBS):
        for body in many.all(kind):
            if (kind, body["metadata"]["name"]) != (JOBS, f"{name(5)}-1"):
                assert sight.knows(kind.plural, body)
    assert sight.unheard_of == 1
    assert sight.take_unheard_of() == {key(5)}
    assert sight.unheard_of == 0
