"""What the runner takes for granted of openmetadata-ingestion."""

import importlib
import logging
from typing import Any

import pytest
from metadata.generated.schema.entity.services.ingestionPipelines.ingestionPipeline import PipelineStatus
from metadata.generated.schema.metadataIngestion.workflow import OpenMetadataWorkflowConfig
from metadata.ingestion.api.parser import (
    ParsingConfigurationError,
    get_service_type,
    parse_workflow_config_gracefully,
)
from metadata.utils.logger import ingestion_logger

from ingestion_runner.inputs import run_input
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.pipeline_status import ROW_FIELDS, closed_row
from ingestion_runner.workflow.config import WORKFLOW_CLASSES, WorkflowInputs, build_config
from ingestion_runner.workflow.failures import StartLog, explain_start_failure
from runner_testing.child import STEPS
from runner_testing.pod import RUN_ID, pipeline_document

CONNECTION = {
    "config": {
        "type": "Postgres",
        "username": "openmetadata",
        "authType": {"password": "hunter2"},
        "hostPort": "db:5432",
        "database": "shop",
    }
}


def config(connection: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    document = pipeline_document("http://openmetadata:8585/api", **changes)
    return build_config(
        run_input(document, RUN_ID),
        WorkflowInputs(
            service_type="Postgres",
            source_config=document["sourceConfig"],
            connection=connection,
            jwt_token="/ingestion/token/token",
        ),
    )


@pytest.mark.parametrize("connection", [None, CONNECTION])
@pytest.mark.parametrize(
    "server",
    [
        {"hostPort": "http://openmetadata:8585/api"},
        {"hostPort": "https://om/api", "verifySSL": "ignore", "extraHeaders": {"X-Team": "data"}},
        {"hostPort": "https://om/api", "verifySSL": "validate", "sslConfig": {"caCertificate": "/ca.pem"}},
    ],
)
def test_rendered_config_is_valid(connection: dict[str, Any] | None, server: dict[str, Any]) -> None:
    validated = OpenMetadataWorkflowConfig.model_validate(config(connection, server=server))

    assert validated.ingestionPipelineFQN == "shop.nightly"
    assert validated.workflowConfig.openMetadataServerConfig.storeServiceConnection is False
    assert str(validated.pipelineRunId.root) == RUN_ID


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.failed(Reason.INTERRUPTED, "asked to stop"),
        Outcome(state=State.PARTIAL_SUCCESS, reason=Reason.PARTIALLY_SUCCEEDED, message="done", steps=STEPS),
    ],
)
def test_row_is_valid(outcome: Outcome) -> None:
    existing = {"runId": RUN_ID, "pipelineState": "running", "startDate": 1, "timestamp": 1, "config": {}}

    row = closed_row(outcome, run_id=RUN_ID, started=1, ended=2, existing=existing, log_tail="the end")

    assert PipelineStatus.model_validate(row).pipelineState.value == outcome.state.value


def test_row_fields_are_those_of_the_model() -> None:
    assert set(ROW_FIELDS) == set(PipelineStatus.model_fields)


def test_invalid_source_config_is_explained_by_its_field() -> None:
    invalid = config(sourceConfig={"config": {"type": "DatabaseMetadata", "includeFoo": True}})

    with pytest.raises(ParsingConfigurationError) as raised:
        parse_workflow_config_gracefully(invalid)
    failure = explain_start_failure(raised.value, StartLog(), ask_server=lambda: None)

    assert failure.reason is Reason.INVALID_CONFIGURATION
    assert failure.message.endswith("includeFoo: Extra inputs are not permitted")


def test_invalid_connection_is_explained_without_its_values() -> None:
    connection = {"config": CONNECTION["config"] | {"database": ["hunter2"]}}

    with pytest.raises(ParsingConfigurationError) as raised:
        parse_workflow_config_gracefully(config(connection))
    failure = explain_start_failure(raised.value, StartLog(), ask_server=lambda: None)

    assert failure.reason is Reason.INVALID_CONFIGURATION
    assert "database" in failure.message
    assert "hunter2" not in failure.message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("metadata.ingestion.api.parser", "ParsingConfigurationError"),
        ("metadata.ingestion.api.parser", "InvalidWorkflowException"),
        ("metadata.config.common", "ConfigurationError"),
        ("metadata.utils.importer", "MissingPluginException"),
        ("metadata.ingestion.ometa.mixins.server_mixin", "VersionMismatchException"),
        ("metadata.ingestion.ometa.mixins.server_mixin", "VersionNotFoundException"),
        ("metadata.ingestion.ometa.client", "HtmlResponseError"),
        ("metadata.ingestion.ometa.client", "RestTransportError"),
        ("metadata.workflow.base", "InvalidWorkflowJSONException"),
        ("metadata.ingestion.connections.test_connections", "SourceConnectionException"),
    ],
)
def test_exception_that_is_known_by_name_exists(module: str, name: str) -> None:
    assert issubclass(getattr(importlib.import_module(module), name), Exception)


def test_source_type_that_is_unknown_is_refused_by_the_library() -> None:
    get_service_type("Postgres")

    with pytest.raises(ValueError, match="Nonsense"):
        get_service_type("Nonsense")


def test_log_of_the_library_is_heard() -> None:
    log = StartLog()
    logging.getLogger("metadata").addHandler(log)
    try:
        ingestion_logger().warning("CheckAccess: Failed")
    finally:
        logging.getLogger("metadata").removeHandler(log)

    assert log.about("CheckAccess") == "CheckAccess: Failed"


@pytest.mark.parametrize("pipeline_type", sorted(WORKFLOW_CLASSES))
def test_workflow_class_has_what_the_runner_calls(pipeline_type: str) -> None:
    module, name = WORKFLOW_CLASSES[pipeline_type]
    workflow = getattr(importlib.import_module(module), name)

    for method in ("create", "execute", "raise_from_status", "calculate_success", "build_ingestion_status"):
        assert callable(getattr(workflow, method))
