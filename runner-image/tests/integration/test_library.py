"""What the runner takes for granted of openmetadata-ingestion."""

import importlib
import importlib.metadata
import logging
from pathlib import Path
from typing import Any

import pytest
from metadata.generated.schema.entity.services.connections.database.postgresConnection import PostgresConnection
from metadata.generated.schema.entity.services.ingestionPipelines.ingestionPipeline import PipelineStatus
from metadata.generated.schema.metadataIngestion.application import OpenMetadataApplicationConfig
from metadata.generated.schema.metadataIngestion.testSuitePipeline import TestSuitePipeline
from metadata.generated.schema.metadataIngestion.workflow import OpenMetadataWorkflowConfig
from metadata.ingestion.api.parser import (
    ParsingConfigurationError,
    get_service_type,
    parse_workflow_config_gracefully,
)
from metadata.utils.class_helper import get_service_type_from_source_type
from metadata.utils.logger import ingestion_logger
from metadata.utils.ssl_manager import SSLManager, check_ssl_and_init

from ingestion_runner.inputs import run_input
from ingestion_runner.outcomes import ConfigurationError, Outcome, Reason, RunError, State
from ingestion_runner.pipeline_status import ROW_FIELDS, closed_row
from ingestion_runner.workflow.application import require_runner_class
from ingestion_runner.workflow.certificates import use_certificate_files
from ingestion_runner.workflow.config import WORKFLOW_CLASSES, WorkflowInputs, build_config
from ingestion_runner.workflow.failures import StartLog, explain_start_failure
from ingestion_runner.workflow.packages import require_extra, require_language_models
from ingestion_runner.workflow.test_suite import with_connection
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


HELLO = "metadata.applications.example.HelloPipelines"
HOST_PORT = "http://openmetadata:8585/api"


def config(connection: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    document = pipeline_document(HOST_PORT, **changes)
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


KINDS = {
    "databaseService": ("Postgres", {"type": "DatabaseMetadata"}),
    "dashboardService": ("Superset", {"type": "DashboardMetadata"}),
    "messagingService": ("Kafka", {"type": "MessagingMetadata"}),
    "pipelineService": ("Airflow", {"type": "PipelineMetadata"}),
    "mlmodelService": ("Mlflow", {"type": "MlModelMetadata"}),
    "storageService": ("S3", {"type": "StorageMetadata"}),
    "searchService": ("ElasticSearch", {"type": "SearchMetadata"}),
    "apiService": ("Rest", {"type": "ApiMetadata"}),
    "driveService": ("GoogleDrive", {"type": "DriveMetadata"}),
    "metadataService": ("Atlas", {"type": "DatabaseMetadata"}),
}
TABLE = "shop.shop.sales.orders"
DBT = {"type": "DBT", "dbtConfigSource": {"dbtConfigType": "local", "dbtManifestFilePath": "/dbt/manifest.json"}}
# Pipeline type, kind of service, its type, and the source configuration with what the library makes of it.
RUNS = [
    *(("metadata", kind, service_type, source_config) for kind, (service_type, source_config) in KINDS.items()),
    ("lineage", "databaseService", "Postgres", {"type": "DatabaseLineage", "queryLogDuration": 1}),
    ("usage", "databaseService", "Postgres", {"type": "DatabaseUsage", "stageFileLocation": "/tmp/query_log"}),
    ("profiler", "databaseService", "Postgres", {"type": "Profiler", "computeTableMetrics": True}),
    ("autoClassification", "databaseService", "Postgres", {"type": "AutoClassification", "storeSampleData": True}),
    ("TestSuite", "testSuite", None, {"type": "TestSuite", "entityFullyQualifiedName": TABLE}),
    ("dbt", "databaseService", "Postgres", DBT),
]


@pytest.mark.parametrize(("pipeline_type", "kind", "service_type", "source_config"), RUNS)
def test_config_of_each_type_is_valid(
    pipeline_type: str, kind: str, service_type: str | None, source_config: dict[str, Any]
) -> None:
    document = pipeline_document(
        HOST_PORT,
        pipelineType=pipeline_type,
        service={"type": kind, "name": "shop"},
        sourceConfig={"config": source_config},
    )
    rendered = build_config(
        run_input(document, RUN_ID),
        WorkflowInputs(service_type, document["sourceConfig"], connection=None, jwt_token="/ingestion/token/token"),
    )

    validated = parse_workflow_config_gracefully(rendered)

    read = validated.source.sourceConfig.config
    assert read.type.value == source_config["type"]
    assert source_config.keys() - {"dbtConfigSource"} <= read.model_dump(exclude_unset=True).keys()
    assert f"{get_service_type_from_source_type(validated.source.type).name.lower()}service" == (
        "testsuiteservice" if kind == "testSuite" else kind.lower()
    )


def test_mounted_connection_of_a_test_suite_is_valid() -> None:
    source_config = with_connection({"config": {"type": "TestSuite", "entityFullyQualifiedName": TABLE}}, CONNECTION)

    (one,) = TestSuitePipeline.model_validate(source_config["config"]).serviceConnections

    assert (one.serviceName, one.serviceConnection.root.config.type.value) == ("shop", "Postgres")


@pytest.mark.parametrize("provider", ["aws", "gcp", "kubernetes"])
@pytest.mark.parametrize("loader", ["noop", "env", None])
def test_secrets_manager_is_that_of_the_run_input(provider: str, loader: str | None) -> None:
    server = {"hostPort": HOST_PORT, "secretsManagerProvider": provider, "secretsManagerLoader": loader}

    server_config = OpenMetadataWorkflowConfig.model_validate(config(server=server)).workflowConfig

    connection = server_config.openMetadataServerConfig
    assert (connection.secretsManagerProvider.value, connection.secretsManagerLoader.value) == (
        provider,
        loader or "noop",
    )


def test_connection_names_its_certificates_by_their_paths() -> None:
    tls = {"sslMode": "verify-ca", "sslConfig": {"caCertificate": "/certs/ca.pem"}}

    validated = OpenMetadataWorkflowConfig.model_validate(config({"config": CONNECTION["config"] | tls}))

    ssl_config = validated.source.serviceConnection.root.config.sslConfig.root
    assert ssl_config.caCertificate.get_secret_value() == "/certs/ca.pem"


def test_language_models_are_those_of_the_library() -> None:
    with pytest.raises(RunError, match="de_core_news_md, en_core_web_md") as refused:
        require_language_models({"config": {"enableAutoClassification": True, "classificationLanguage": "de"}})

    assert refused.value.reason is Reason.MISSING_LANGUAGE_MODEL


@pytest.mark.parametrize("name", ["shop.nightly", None])
@pytest.mark.parametrize("private", [{}, {"appPrivateConfig": {"token": "t"}}])
def test_rendered_application_config_is_valid(name: str | None, private: dict[str, Any]) -> None:
    application = {"sourcePythonClass": HELLO, "appConfig": {"sleep": 1, "echo": "hello"}, **private}

    validated = OpenMetadataApplicationConfig.model_validate(
        config(pipelineType="application", fullyQualifiedName=name, sourceConfig={"config": application})
    )

    assert (validated.sourcePythonClass, validated.ingestionPipelineFQN) == (HELLO, name)
    assert str(validated.pipelineRunId.root) == RUN_ID


def test_class_of_the_library_is_an_application() -> None:
    require_runner_class(HELLO)


@pytest.mark.parametrize(
    "name", ["metadata.workflow.metadata.MetadataWorkflow", "metadata.workflow.application.logger"]
)
def test_class_that_is_not_an_application_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}' is not an application"):
        require_runner_class(name)


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
    failure = explain_start_failure(raised.value, StartLog(), check_server=lambda: None)

    assert failure.reason is Reason.INVALID_CONFIGURATION
    assert failure.message.endswith("includeFoo: Extra inputs are not permitted")


def test_invalid_connection_is_explained_without_its_values() -> None:
    connection = {"config": CONNECTION["config"] | {"database": ["hunter2"]}}

    with pytest.raises(ParsingConfigurationError) as raised:
        parse_workflow_config_gracefully(config(connection))
    failure = explain_start_failure(raised.value, StartLog(), check_server=lambda: None)

    assert failure.reason is Reason.INVALID_CONFIGURATION
    assert "database" in failure.message
    assert "hunter2" not in failure.message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("metadata.ingestion.api.parser", "ParsingConfigurationError"),
        ("metadata.ingestion.api.parser", "InvalidWorkflowException"),
        ("metadata.config.common", "ConfigurationError"),
        ("metadata.utils.importer", "DynamicImportException"),
        ("metadata.utils.importer", "MissingPluginException"),
        ("metadata.workflow.application", "InvalidAppConfiguration"),
        ("metadata.ingestion.ometa.mixins.server_mixin", "VersionMismatchException"),
        ("metadata.ingestion.ometa.mixins.server_mixin", "VersionNotFoundException"),
        ("metadata.ingestion.ometa.client", "RestTransportError"),
        ("metadata.workflow.base", "InvalidWorkflowJSONException"),
        ("metadata.ingestion.connections.test_connections", "SourceConnectionException"),
    ],
)
def test_exception_that_is_known_by_name_exists(module: str, name: str) -> None:
    assert issubclass(getattr(importlib.import_module(module), name), Exception)


@pytest.mark.skipif(
    importlib.metadata.version("openmetadata-ingestion").startswith("1."),
    reason="before 2.0 an answer that is not JSON raises an error without a class of its own",
)
def test_exception_of_an_answer_that_is_not_json_exists() -> None:
    client = importlib.import_module("metadata.ingestion.ometa.client")
    assert issubclass(client.HtmlResponseError, Exception)


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


@pytest.mark.parametrize("pipeline_type", sorted(WORKFLOW_CLASSES.keys() - {"autoClassification"}))
def test_workflow_class_has_what_the_runner_calls(pipeline_type: str) -> None:
    require_extra(pipeline_type)
    module, name = WORKFLOW_CLASSES[pipeline_type]
    workflow = getattr(importlib.import_module(module), name)

    for method in ("create", "execute", "raise_from_status", "calculate_success", "build_ingestion_status"):
        assert callable(getattr(workflow, method))


def test_classification_is_refused_since_no_lock_has_its_extra() -> None:
    with pytest.raises(RunError, match="pii-processor"):
        require_extra("autoClassification")


def test_the_driver_gets_a_connections_certificate_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SSLManager, "create_temp_file", SSLManager.create_temp_file)  # restored after the test
    use_certificate_files(SSLManager)
    certificate = tmp_path / "ca.crt"
    certificate.write_text("any")
    config = CONNECTION["config"] | {"sslMode": "verify-ca", "sslConfig": {"caCertificate": str(certificate)}}
    connection = PostgresConnection.model_validate(config)

    arguments = check_ssl_and_init(connection).setup_ssl(connection).connectionArguments.root

    assert arguments == {"sslmode": "verify-ca", "sslrootcert": str(certificate)}
