"""Runs the workflow of the pod's inputs."""

import os
from collections.abc import Mapping
from typing import Any

from ingestion_runner.channel import ChannelWriter
from ingestion_runner.inputs import (
    AUTO_CLASSIFICATION,
    TEST_SUITE,
    InputPaths,
    RunInput,
    Service,
    run_id_from,
    run_input,
)
from ingestion_runner.masking import secrets_of
from ingestion_runner.outcomes import ConfigurationError, Outcome
from ingestion_runner.server import ServerClient
from ingestion_runner.workflow.application import python_class_of, require_runner_class
from ingestion_runner.workflow.config import WorkflowInputs, build_config, jwt_token_of, require_supported
from ingestion_runner.workflow.documents import read_connection, read_source_config
from ingestion_runner.workflow.execution import execute_workflow, import_workflow, require_source_type
from ingestion_runner.workflow.packages import require_extra, require_language_models
from ingestion_runner.workflow.service import check_service_access, check_token, fetch_service
from ingestion_runner.workflow.test_suite import service_of, with_connection


def run_workflow(document: Mapping[str, Any], paths: InputPaths, channel: ChannelWriter) -> Outcome:
    """Run the workflow of the run input and the mounted files.

    Every secret is sent to the parent immediately after it is read, so that it cannot appear in the log.

    Raises:
        RunError: The run could not be started.
    """
    run = run_input(document, run_id_from(os.environ))
    require_supported(run.pipeline_type)
    require_extra(run.pipeline_type)
    source_config = run.source_config or read_source_config(paths.source_config)
    if source_config is None:
        raise ConfigurationError("neither pipeline.json nor a mounted Secret has a sourceConfig")
    if not isinstance(source_config.get("config"), Mapping):
        raise ConfigurationError("sourceConfig.config must be an object")
    channel.send_secrets(secrets_of(source_config))
    client = ServerClient(run.server, paths.read_token())
    if run.service is None:
        return _run_application(run, source_config, paths, client)
    if run.pipeline_type == TEST_SUITE:
        return _run_tests(run, source_config, paths, client, channel)
    return _run_on_service(run, run.service, source_config, paths, client, channel)


def _run_application(
    run: RunInput, source_config: Mapping[str, Any], paths: InputPaths, client: ServerClient
) -> Outcome:
    python_class = python_class_of(source_config)
    inputs = WorkflowInputs(
        service_type=None, source_config=source_config, connection=None, jwt_token=jwt_token_of(paths)
    )
    config = build_config(run, inputs)
    workflow_class = import_workflow(run.pipeline_type)
    require_runner_class(python_class)
    return execute_workflow(workflow_class, config, check_server=lambda: check_token(client))


def _run_tests(
    run: RunInput, source_config: Mapping[str, Any], paths: InputPaths, client: ServerClient, channel: ChannelWriter
) -> Outcome:
    connection = read_connection(paths.connection)
    service = service_of(source_config)
    if connection is not None:
        channel.send_secrets(secrets_of(connection))
        source_config = with_connection(source_config, connection)
    elif service is not None:
        channel.send_secrets(secrets_of(fetch_service(client, service)))
    inputs = WorkflowInputs(
        service_type=None, source_config=source_config, connection=None, jwt_token=jwt_token_of(paths)
    )
    config = build_config(run, inputs)
    workflow_class = import_workflow(run.pipeline_type)
    return execute_workflow(workflow_class, config, check_server=lambda: check_token(client))


def _run_on_service(
    run: RunInput,
    service: Service,
    source_config: Mapping[str, Any],
    paths: InputPaths,
    client: ServerClient,
    channel: ChannelWriter,
) -> Outcome:
    connection = read_connection(paths.connection)
    if connection is not None:
        channel.send_secrets(secrets_of(connection))
        service_type = str(connection["config"]["type"])
    else:
        found = fetch_service(client, service)
        channel.send_secrets(secrets_of(found))
        service_type = str(found["serviceType"])
    inputs = WorkflowInputs(
        service_type=service_type, source_config=source_config, connection=connection, jwt_token=jwt_token_of(paths)
    )
    config = build_config(run, inputs)
    workflow_class = import_workflow(run.pipeline_type)
    require_source_type(service_type)
    if run.pipeline_type == AUTO_CLASSIFICATION:
        require_language_models(source_config)
    return execute_workflow(workflow_class, config, check_server=lambda: check_service_access(client, service))
