"""What an event of the cluster means to the queue."""

import pytest

from ingestion_operator.controllers.handlers import is_urgent


@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED", "DELETED"])
@pytest.mark.parametrize(("plural", "urgent"), [("jobs", True), ("pods", True), ("cronjobs", False)])
def test_a_run_that_changes_is_urgent_and_a_schedule_is_not(event_type: str, plural: str, urgent: bool) -> None:
    assert is_urgent(event_type, plural) is urgent


@pytest.mark.parametrize("plural", ["jobs", "pods", "cronjobs"])
def test_nothing_is_urgent_that_was_there_at_the_start(plural: str) -> None:
    assert not is_urgent(None, plural)
