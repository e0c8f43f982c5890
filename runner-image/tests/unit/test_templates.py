from pathlib import Path
from typing import Any

import pytest
import yaml
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


def test_metadata_config_is_rendered_readably() -> None:
    connection = {"config": {"type": "Postgres", "hostPort": "db:5432", "authType": {"password": 'it\'s "quoted"'}}}
    server = {
        "hostPort": "https://openmetadata/api",
        "verifySSL": "validate",
        "sslConfig": {"caCertificate": "/certs/ca.pem"},
        "extraHeaders": {"X-Team": "data"},
    }

    rendered = render_config(run(server=server), inputs(connection=connection))

    assert rendered == (GOLDEN / "metadata.yaml").read_text(encoding="utf-8")


APPLICATION = {
    "config": {
        "type": "Application",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfig": {"sleep": 1, "echo": 'it\'s "quoted"'},
        "appPrivateConfig": {"token": "a-token"},
    }
}


def test_application_config_is_rendered_readably() -> None:
    server = {"hostPort": "https://openmetadata/api"}

    rendered = render_config(
        run(pipelineType="application", server=server), inputs(service_type=None, source_config=APPLICATION)
    )

    assert rendered == (GOLDEN / "application.yaml").read_text(encoding="utf-8")


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


def test_config_validates_the_server_against_a_bundle_when_no_certificate_is_named() -> None:
    server = {"hostPort": "https://openmetadata/api", "verifySSL": "validate"}

    server_config = build_config(run(server=server), inputs())["workflowConfig"]["openMetadataServerConfig"]

    assert Path(server_config["sslConfig"]["caCertificate"]).is_file()


@given(name=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_config_carries_any_name_unchanged(name: str) -> None:
    config = build_config(run(service={"type": "databaseService", "name": name}), inputs())

    assert config["source"]["serviceName"] == name


@pytest.mark.parametrize("pipeline_type", sorted(WORKFLOW_CLASSES))
def test_each_supported_type_has_a_template(pipeline_type: str) -> None:
    source_config = APPLICATION if pipeline_type == "application" else {"config": {"type": "DatabaseMetadata"}}

    config = yaml.safe_load(render_config(run(pipelineType=pipeline_type), inputs(source_config=source_config)))

    assert config["pipelineRunId"] == RUN_ID


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
