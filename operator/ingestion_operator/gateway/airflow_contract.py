"""The contract's own vocabulary: keys and values as the server's client reads them."""

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
"""Keys of an answer that mean something else."""


def run_item(run: RunStatus) -> dict[str, Any]:
    """Return a run as an item of `status`.

    These keys and no other: the server's JSON reader throws at unknown ones, and then shows none at all.
    """
    return {
        "runId": run.run_id,
        "pipelineState": run.pipeline_state,
        "startDate": run.start_date,
        "timestamp": run.timestamp,
        "endDate": run.end_date,
    }


def log_answer(page: LogPage, task: str | None) -> dict[str, Any]:
    """Return a page under the key that was asked for, else under that of the pipeline's type.

    `after` is there exactly when there is another page: the server's UI asks on until it is missing.
    """
    answer: dict[str, Any] = {task or _TASKS.get(page.pipeline_type, "ingestion_task"): page.text, "total": page.total}
    return answer if page.after is None else {**answer, "after": page.after}
