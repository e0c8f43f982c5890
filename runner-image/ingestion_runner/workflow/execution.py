"""Runs one workflow of openmetadata-ingestion, which is imported only when it is needed."""

import importlib
import importlib.metadata
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.text import cut, one_line
from ingestion_runner.workflow.certificates import use_certificate_files
from ingestion_runner.workflow.config import WORKFLOW_CLASSES
from ingestion_runner.workflow.failures import (
    StartLog,
    explain_import_failure,
    explain_start_failure,
    logged,
    unknown_source_type,
)
from ingestion_runner.workflow.starting import quick_import, remember_package_versions

_WHOLE = 100.0

# A run's row is stored in the server's database, and read completely for each page of the run history.
_FAILURES_REPORTED = 10
_ERROR_CHARACTERS = 2000
_STACK_TRACE_CHARACTERS = 4000


def import_workflow(pipeline_type: str) -> Any:
    """Return the library's class for a pipeline type. The import takes seconds.

    Raises:
        RunError: A required package is not in this image.
    """
    module_name, class_name = WORKFLOW_CLASSES[pipeline_type]
    return getattr(load(module_name, f"pipelines of type {pipeline_type}"), class_name)


def load(module_name: str, what: str) -> ModuleType:
    """Import a module of the library and log the duration; ``what`` is its user in messages, in the plural.

    Raises:
        RunError: A required package is not in this image.
    """
    # Before the import of the library, which keeps a reference to the function.
    remember_package_versions()
    version = importlib.metadata.version("openmetadata-ingestion")
    sys.stdout.write(f"[runner] loading openmetadata-ingestion {version}\n")
    since = time.monotonic()
    try:
        with quick_import():
            module = importlib.import_module(module_name)
            use_certificate_files(importlib.import_module("metadata.utils.ssl_manager").SSLManager)
    except ImportError as error:
        traceback.print_exc()
        raise explain_import_failure(error, what) from error
    sys.stdout.write(f"[runner] loaded in {time.monotonic() - since:.1f} s\n")
    return module


def require_source_type(source_type: str) -> None:
    """Check that the library knows the type of a connection.

    Raises:
        RunError: The type is unknown.
    """
    parser = importlib.import_module("metadata.ingestion.api.parser")
    try:
        parser.get_service_type(source_type)
    except ValueError as error:
        raise unknown_source_type(source_type) from error


def execute_workflow(workflow_class: Any, config: dict[str, Any], check_server: Callable[[], object]) -> Outcome:
    """Create the workflow, run it and return its outcome.

    ``execute`` of the library's versions 1.12 to 2.0 reports progress and end to the server, prints the summary and
    closes all resources.

    Raises:
        RunError: The workflow could not be created.
    """
    with StartLog.of_the_library() as log:
        try:
            workflow = workflow_class.create(config)
        except Exception as error:
            raise logged(explain_start_failure(error, log, check_server)) from error
    try:
        workflow.execute()
    except Exception as error:  # noqa: BLE001 - connectors and their drivers raise anything
        traceback.print_exc()
        return _outcome(workflow, State.FAILED, f"{type(error).__name__}: {one_line(str(error))}")
    return _outcome(workflow, *_state_of(workflow))


def _state_of(workflow: Any) -> tuple[State, str]:
    try:
        workflow.raise_from_status()
    except Exception as error:  # noqa: BLE001 - an exception of the library, which is not imported here
        return State.FAILED, one_line(str(error))
    success = workflow.calculate_success()
    if success is not None and workflow.workflow_config.successThreshold <= success < _WHOLE:
        return State.PARTIAL_SUCCESS, f"{success:.1f} % of the records succeeded"
    return State.SUCCESS, "the workflow succeeded"


_REASONS: Mapping[State, Reason] = {
    State.SUCCESS: Reason.SUCCEEDED,
    State.PARTIAL_SUCCESS: Reason.PARTIALLY_SUCCEEDED,
    State.FAILED: Reason.WORKFLOW_FAILED,
}


def _outcome(workflow: Any, state: State, message: str) -> Outcome:
    steps = _step_summaries(workflow)
    failure = next((failure for step in steps for failure in step.get("failures") or ()), None)
    errors = sum(step["errors"] for step in steps)
    if state is State.FAILED and failure is not None:
        message = f"{errors} records failed, the first: {one_line(failure['error'])}"
    return Outcome(
        state=state,
        reason=_REASONS[state],
        message=message,
        # The last step writes to the server.
        records=steps[-1]["records"] if steps else None,
        warnings=sum(step["warnings"] for step in steps) if steps else None,
        errors=errors if steps else None,
        first_failure={"name": failure["name"], "error": failure["error"]} if failure else None,
        steps=steps,
    )


def _step_summaries(workflow: Any) -> list[dict[str, Any]]:
    """Return the steps of the workflow in the format of StepSummary, with bounded texts."""
    try:
        steps: list[dict[str, Any]] = workflow.build_ingestion_status().model_dump(mode="json", exclude_none=True)
    except Exception:  # noqa: BLE001 - as above
        # The parent reports the outcome without steps.
        traceback.print_exc()
        return []
    for step in steps:
        if step.get("failures"):
            step["failures"] = [_bounded(failure) for failure in step["failures"][:_FAILURES_REPORTED]]
    return steps


def _bounded(failure: Mapping[str, Any]) -> dict[str, str]:
    bounded = {"name": str(failure["name"]), "error": cut(str(failure["error"]), _ERROR_CHARACTERS)}
    if failure.get("stackTrace"):
        bounded["stackTrace"] = cut(str(failure["stackTrace"]), _STACK_TRACE_CHARACTERS)
    return bounded
