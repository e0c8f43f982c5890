from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.inputs import InputPaths, RunInput, run_input
from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.workflow.config import (
    TEMPLATES,
    WORKFLOW_CLASSES,
    WorkflowInputs,
    build_config,
    jwt_token_of,
    render_config,
    require_supported,
)
from runner_testing.pod import RUN_ID, pipeline_document

GOLDEN = Path(__file__).parent.parent / "golden"
SHARED = {"workflow"}


def run(**changes: Any) -> RunInput:
    document = pipeline_document("http://openmetadata:8585/api", **changes)
    return run_input(document, RUN_ID)


def inputs(**changes: Any) -> WorkflowInputs:
    values: dict[str, Any] = {
        "service_type": "Postgres",
        "source_config": {"config": {"type": "DatabaseMetadata", "includeViews": False}},
        "connection": None,
        "jwt_token": "/ingestion/token/token",
    }
    return WorkflowInputs(**values | changes)


CONNECTION = {"config": {"type": "Postgres", "hostPort": "db:5432", "authType": {"password": 'it\'s "quoted"'}}}
SERVER = {
    "hostPort": "https://openmetadata/api",
    "verifySSL": "validate",
    "sslConfig": {"caCertificate": "/certs/ca.pem"},
    "extraHeaders": {"X-Team": "data"},
}
APPLICATION = {
    "config": {
        "type": "Application",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfig": {"sleep": 1, "echo": 'it\'s "quoted"'},
        "appPrivateConfig": {"token": "a-token"},
    }
}
SUITE = {"type": "testSuite", "name": "shop.shop.sales.orders.testSuite"}

# What differs from a run on a database service whose connection is mounted: of the run input, and of the rest.
GOLDEN_RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "metadata": (
        {"server": SERVER},
        {"source_config": {"config": {"type": "DatabaseMetadata", "includeViews": False}}},
    ),
    "lineage": ({}, {"source_config": {"config": {"type": "DatabaseLineage", "queryLogDuration": 1}}}),
    "usage": (
        {"server": {**SERVER, "secretsManagerProvider": "aws", "secretsManagerLoader": "env"}},
        {"source_config": {"config": {"type": "DatabaseUsage", "stageFileLocation": "/tmp/usage"}}},
    ),
    "profiler": ({}, {"source_config": {"config": {"type": "Profiler", "computeTableMetrics": True}}}),
    "autoClassification": (
        {},
        {"source_config": {"config": {"type": "AutoClassification", "enableAutoClassification": True}}},
    ),
    "TestSuite": (
        {"service": SUITE, "fullyQualifiedName": "shop.shop.sales.orders.testSuite.nightly"},
        {
            "service_type": None,
            "connection": None,
            "source_config": {"config": {"type": "TestSuite", "entityFullyQualifiedName": "shop.shop.sales.orders"}},
        },
    ),
    "dbt": (
        {},
        {
            "connection": None,
            "source_config": {
                "config": {
                    "type": "DBT",
                    "dbtConfigSource": {"dbtConfigType": "local", "dbtManifestFilePath": "/dbt/manifest.json"},
                }
            },
        },
    ),
    "application": ({}, {"service_type": None, "connection": None, "source_config": APPLICATION}),
}


@pytest.mark.parametrize("pipeline_type", sorted(WORKFLOW_CLASSES))
def test_config_is_rendered_readably(pipeline_type: str) -> None:
    changes, values = GOLDEN_RUNS[pipeline_type]
    document = {"server": {"hostPort": "https://openmetadata/api"}, "pipelineType": pipeline_type, **changes}

    rendered = render_config(run(**document), inputs(**{"connection": CONNECTION, **values}))

    assert rendered == (GOLDEN / f"{pipeline_type}.yaml").read_text(encoding="utf-8")


SOURCE_TYPES = [
    ("metadata", "databaseService", "BigQuery", "bigquery"),
    ("metadata", "dashboardService", "Superset", "superset"),
    ("metadata", "messagingService", "Kafka", "kafka"),
    ("metadata", "pipelineService", "GluePipeline", "gluepipeline"),
    ("metadata", "mlmodelService", "Mlflow", "mlflow"),
    ("metadata", "storageService", "S3", "s3"),
    ("metadata", "searchService", "ElasticSearch", "elasticsearch"),
    ("metadata", "apiService", "Rest", "rest"),
    ("metadata", "driveService", "GoogleDrive", "googledrive"),
    ("metadata", "metadataService", "Atlas", "atlas"),
    ("lineage", "databaseService", "Snowflake", "snowflake-lineage"),
    ("usage", "databaseService", "Snowflake", "snowflake-usage"),
    ("profiler", "databaseService", "MariaDB", "mariadb"),
    ("autoClassification", "databaseService", "Postgres", "postgres"),
    ("autoClassification", "storageService", "S3", "s3"),
    ("autoClassification", "messagingService", "Kafka", "kafka"),
    ("TestSuite", "testSuite", None, "testSuite"),
    ("dbt", "databaseService", "Redshift", "dbt"),
]


@pytest.mark.parametrize(("pipeline_type", "kind", "service_type", "source_type"), SOURCE_TYPES)
def test_source_type_follows_from_pipeline_and_service_type(
    pipeline_type: str, kind: str, service_type: str | None, source_type: str
) -> None:
    service = {"type": kind, "name": "anything"}

    source = build_config(run(pipelineType=pipeline_type, service=service), inputs(service_type=service_type))["source"]

    assert (source["type"], source["serviceName"]) == (source_type, "anything")


def test_usage_is_staged_on_the_scratch_volume_by_default() -> None:
    config = build_config(run(pipelineType="usage"), inputs(source_config={"config": {"type": "DatabaseUsage"}}))

    assert config["stage"]["config"]["filename"] == config["bulkSink"]["config"]["filename"] == "/tmp/query_log"


def test_files_that_a_connection_names_are_passed_on_as_they_are() -> None:
    tls = {"sslMode": "verify-ca", "sslConfig": {"caCertificate": "/certs/ca.pem", "sslKey": "/certs/tls.key"}}
    connection = {"config": CONNECTION["config"] | tls}

    config = build_config(run(), inputs(connection=connection))["source"]["serviceConnection"]["config"]

    assert config["sslConfig"] == tls["sslConfig"]


def test_secrets_manager_without_a_loader_uses_the_environment() -> None:
    server = {"hostPort": "https://openmetadata/api", "secretsManagerProvider": "gcp"}

    server_config = build_config(run(server=server), inputs())["workflowConfig"]["openMetadataServerConfig"]

    assert (server_config["secretsManagerProvider"], server_config["secretsManagerLoader"]) == ("gcp", "noop")


def test_application_config_leaves_out_what_is_not_there() -> None:
    source_config = {"config": {"type": "Application", "sourcePythonClass": "shop.apps.Sweeper"}}

    config = build_config(
        run(pipelineType="application", fullyQualifiedName=None),
        inputs(service_type=None, source_config=source_config),
    )

    assert config.keys() == {"sourcePythonClass", "workflowConfig", "pipelineRunId", "enableStreamableLogs"}


def test_config_has_no_connection_when_none_is_mounted() -> None:
    source = build_config(run(), inputs())["source"]

    assert source == {
        "type": "postgres",
        "serviceName": "shop",
        "sourceConfig": {"config": {"type": "DatabaseMetadata", "includeViews": False}},
    }


def test_config_validates_the_server_against_a_bundle() -> None:
    server = {"hostPort": "https://openmetadata/api", "verifySSL": "validate"}

    server_config = build_config(run(server=server), inputs())["workflowConfig"]["openMetadataServerConfig"]

    assert Path(server_config["sslConfig"]["caCertificate"]).is_file()


@given(name=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_config_carries_any_name_unchanged(name: str) -> None:
    config = build_config(run(service={"type": "databaseService", "name": name}), inputs())

    assert config["source"]["serviceName"] == name


def test_each_template_belongs_to_a_supported_type() -> None:
    names = {path.name.removesuffix(".yaml.j2") for path in TEMPLATES.iterdir()}

    assert names - SHARED == set(WORKFLOW_CLASSES)


@pytest.mark.parametrize("pipeline_type", ["dataInsight", "elasticSearchReindex", "policyAgent", "../metadata"])
def test_unsupported_type_is_refused_with_the_supported_ones(pipeline_type: str) -> None:
    with pytest.raises(RunError, match=r"it can run: .*metadata") as refused:
        require_supported(pipeline_type)

    assert refused.value.reason is Reason.UNSUPPORTED_PIPELINE_TYPE


def test_token_is_given_as_the_path_of_its_file(tmp_path: Path) -> None:
    paths = InputPaths.from_environment({"INGESTION_ROOT": str(tmp_path)})
    assert jwt_token_of(paths) == "no_token"

    paths.token.parent.mkdir()
    paths.token.write_text("the-token\n")
    assert jwt_token_of(paths) == str(tmp_path / "token" / "token")
