"""Logs, page by page, as a server's UI asks for them."""

import pytest

from ingestion_operator.api.service import LogPage
from ingestion_operator.errors import LogRangeError, NotFound
from testing.server_client import ServerClient
from tests.component.gateway.recording_service import RecordingService


def test_a_page_is_under_the_task_that_was_asked_for(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_last_ingestion_logs"] = LogPage(text="a\n", total=3, after=1, pipeline_type="metadata")
    assert server.logs("nightly", "some_task").json == {"some_task": "a\n", "total": 3, "after": 1}


def test_the_last_page_names_no_next_one(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_last_ingestion_logs"] = LogPage(text="z\n", total=3, pipeline_type="metadata")
    assert server.logs("nightly", after="2").json == {"ingestion_task": "z\n", "total": 3}
    assert service.calls == [("get_last_ingestion_logs", {"name": "nightly", "after": 2})]


def test_an_empty_after_asks_for_the_first_page(server: ServerClient, service: RecordingService) -> None:
    assert server.logs("nightly", after="").code == 200
    assert service.calls == [("get_last_ingestion_logs", {"name": "nightly", "after": None})]


@pytest.mark.parametrize(
    ("pipeline_type", "task"),
    [
        ("metadata", "ingestion_task"),
        ("profiler", "profiler_task"),
        ("lineage", "lineage_task"),
        ("usage", "usage_task"),
        ("dbt", "dbt_task"),
        ("TestSuite", "test_suite_task"),
        ("application", "application_task"),
        ("autoClassification", "auto_classification_task"),
        ("dataInsight", "data_insight_task"),
        ("elasticSearchReindex", "elasticsearch_reindex_task"),
        ("policyAgent", "ingestion_task"),
    ],
)
@pytest.mark.parametrize("query", ["task_id", "task_id=", ""])
def test_a_missing_task_is_derived_from_the_pipelines_type(
    old_server: ServerClient, service: RecordingService, query: str, pipeline_type: str, task: str
) -> None:
    service.answers["get_last_ingestion_logs"] = LogPage(text="a", total=1, pipeline_type=pipeline_type)
    reply = old_server.send("GET", f"{old_server.root}/last_dag_logs?after=&dag_id=nightly&{query}")
    assert reply.json == {task: "a", "total": 1}


@pytest.mark.parametrize("after", ["-1", "one", "1.0", "+1", "٣", "1" * 10, "pod-a:4096"])
def test_a_page_that_is_not_a_number_is_refused(server: ServerClient, after: str) -> None:
    reply = server.logs("nightly", after=after)
    assert reply.code == 400
    assert "'after'" in reply.error


@pytest.mark.parametrize("task", ["total", "after", "error"])
def test_an_ambiguous_task_is_refused(server: ServerClient, task: str) -> None:
    reply = server.logs("nightly", task)
    assert reply.code == 400
    assert "'task_id'" in reply.error


def test_a_page_out_of_range_is_a_400(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_last_ingestion_logs"] = LogRangeError("page 7 is not there: there are 0 to 2")
    reply = server.logs("nightly", after="7")
    assert (reply.code, reply.error) == (400, "page 7 is not there: there are 0 to 2")


def test_an_empty_log_is_an_empty_page(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_last_ingestion_logs"] = LogPage(text="", total=1, pipeline_type="metadata")
    assert server.logs("nightly").json == {"ingestion_task": "", "total": 1}


def test_a_pipeline_without_a_run_is_a_404(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_last_ingestion_logs"] = NotFound("pipeline 'nightly' has had no run", code=404)
    assert server.logs("nightly").code == 404


def test_a_page_of_two_million_characters_arrives_whole(server: ServerClient, service: RecordingService) -> None:
    text = "🐘" * 2_000_000
    service.answers["get_last_ingestion_logs"] = LogPage(text=text, total=1, pipeline_type="metadata")
    assert server.logs("nightly").json["ingestion_task"] == text
