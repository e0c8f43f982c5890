"""What an event of the cluster means to the queue."""

import asyncio
from typing import Any

import pytest

from ingestion_operator.controllers.handlers import is_own_write, is_urgent, last_word, news_among_listed, object_of
from ingestion_operator.controllers.inventory import Inventory
from ingestion_operator.first_round import FirstSight
from ingestion_operator.kube.watching import Page
from ingestion_operator.own_writes import OwnWrites
from ingestion_operator.ports import JOBS, PIPELINES, PODS, Kind
from ingestion_operator.refresh import PipelineKey
from tests.support.objects import NAME, NAMESPACE, Body, job, manifest, pod


def page(kind: Kind, *items: Body) -> Page:
    return Page(kind.plural, NAMESPACE, list(items), is_first=True, is_last=True)


def versioned(body: Body, version: str) -> Body:
    body["metadata"]["resourceVersion"] = version
    return body


@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED", "DELETED"])
@pytest.mark.parametrize(("plural", "urgent"), [("jobs", True), ("pods", True), ("cronjobs", False)])
def test_a_run_that_changes_is_urgent_and_a_schedule_is_not(event_type: str, plural: str, urgent: bool) -> None:
    assert is_urgent(event_type, plural) is urgent


@pytest.mark.parametrize("plural", ["jobs", "pods", "cronjobs"])
def test_nothing_is_urgent_that_was_there_at_the_start(plural: str) -> None:
    assert not is_urgent(None, plural)


@pytest.mark.parametrize(("written", "known"), [("8", True), ("9", False)])
def test_an_own_write_is_known_though_its_event_comes_before_its_answer(written: str, known: bool) -> None:
    own_writes = OwnWrites()

    async def play() -> bool:
        asked = asyncio.create_task(is_own_write(own_writes, {"metadata": {"uid": "u", "resourceVersion": "8"}}))
        await asyncio.sleep(0)  # the event is being handled by now
        own_writes.note({"metadata": {"uid": "u", "resourceVersion": written}})
        return await asked

    assert asyncio.run(play()) is known


def test_of_what_is_listed_only_the_unknown_is_news_but_pipelines_all_are() -> None:
    bodies = {PIPELINES: manifest(), JOBS: job(), PODS: pod(exit_code=0)}
    listed = {kind: [versioned(body, "7")] for kind, body in bodies.items()}
    sight = FirstSight()
    sight.add(PipelineKey(NAMESPACE, NAME), None, listed)
    news = news_among_listed(None, sight, Inventory(lambda _: None))
    assert [len(news(page(kind, *items))) for kind, items in listed.items()] == [1, 0, 0]


def test_what_has_changed_before_it_is_listed_is_news() -> None:
    sight = FirstSight()
    sight.add(PipelineKey(NAMESPACE, NAME), None, {JOBS: [versioned(job(), "7")]})
    news = news_among_listed(None, sight, Inventory(lambda _: None))
    assert news(page(JOBS, versioned(job(), "8"))) == [versioned(job(), "8")]


@pytest.mark.parametrize(
    ("kind", "body"), [(JOBS, versioned(job(), "7")), (PODS, versioned(pod(), "7"))], ids=["jobs", "pods"]
)
def test_what_is_listed_again_is_left_to_the_look_at_all(kind: Kind, body: Body) -> None:
    news = news_among_listed(None, FirstSight(), Inventory(lambda _: None))
    assert [news(page(kind, body)) for _ in range(2)] == [[body], []]


@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED", "DELETED"])
def test_a_pod_that_changes_is_kept_for_the_look_since_it_may_be_gone_by_then(event_type: str) -> None:
    assert last_word(event_type, "pods", pod()) == pod()
    assert last_word(event_type, "jobs", job()) is None


def test_thousands_of_pods_in_a_list_are_not_kept() -> None:
    assert last_word(None, "pods", pod()) is None


def test_of_the_object_of_an_event_nothing_stays_that_nobody_reads() -> None:
    whole: Any = pod()
    whole["metadata"]["managedFields"] = [{"fieldsV1": {"f:spec": {}}}]
    assert object_of({"type": "MODIFIED", "object": whole}) == pod()
    assert whole == pod()  # kopf keeps the object itself
