"""What an event of the cluster means to the queue."""

import asyncio

import pytest

from ingestion_operator.controllers.handlers import is_own_write, is_urgent
from ingestion_operator.own_writes import OwnWrites


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
