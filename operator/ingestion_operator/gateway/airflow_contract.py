"""Keys and values of responses as OpenMetadata's Airflow client reads them (docs/development/rest-contract.md)."""

from typing import Any, Final

from ingestion_operator.api.service import LogPage, RunStatus

_TASKS: Final = {
    "metadata": "ingestion_task",
    "policyAgent": "ingestion_task",
    "profiler": "profiler_task",
    "lineage": "lineage_task",
    "usage": "usage_task",
    "dbt": "dbt_task",
    "TestSuite": "test_suite_task",
    "application": "application_task",
    "autoClassification": "auto_classification_task",
    "dataInsight": "data_insight_task",
    "elasticSearchReindex": "elasticsearch_reindex_task",
}

RESERVED_TASKS: Final = frozenset({"total", "after", "error"})
"""Keys of a log response that have another meaning."""


def run_item(run: RunStatus) -> dict[str, Any]:
    """Return a run as an item of the response of `status`.

    It must have no other keys: the server's JSON reader rejects unknown ones, and the server then shows no run at all.
    """
    return {
        "runId": run.run_id,
        "pipelineState": run.pipeline_state,
        "startDate": run.start_date,
        "timestamp": run.timestamp,
        "endDate": run.end_date,
    }


def log_response(page: LogPage, task: str | None) -> dict[str, Any]:
    """Return a page under the requested key, otherwise under the key of the pipeline's type.

    The response has `after` only if there is another page: the server's UI requests pages until it is missing.
    """
    response: dict[str, Any] = {
        task or _TASKS.get(page.pipeline_type, "ingestion_task"): page.text,
        "total": page.total,
    }
    return response if page.after is None else {**response, "after": page.after}
