"""From the pod's inputs to the outcome of the workflow."""

import os

from ingestion_runner.channel import ChannelWriter
from ingestion_runner.inputs import (
    ConfigurationError,
    InputPaths,
    RunInput,
    read_document,
    report_target,
    run_id_from,
    run_input,
)
from ingestion_runner.masking import secrets_of
from ingestion_runner.outcomes import Outcome
from ingestion_runner.server import ServerClient
from ingestion_runner.workflow.config import WorkflowInputs, build_config, jwt_token_of, require_supported
from ingestion_runner.workflow.documents import read_connection, read_source_config
from ingestion_runner.workflow.execution import execute_workflow
from ingestion_runner.workflow.service import ask_for_service, fetch_service


def run_workflow(channel: ChannelWriter) -> Outcome:
    """Run the workflow that the mounted files describe.

    Every secret that is read on the way is told to the parent before anything else happens, so that it cannot
    show up in the log.

    Raises
    ------
    RunError
        The run could not be started; the reason tells why.
    """
    paths = InputPaths.from_environment()
    document = read_document(paths.pipeline)
    run = run_input(document, report_target(document, run_id_from(os.environ)))
    require_supported(run.pipeline_type)
    client = ServerClient(run.target.server, paths.read_token())
    inputs = _workflow_inputs(run, paths, client, channel)
    return execute_workflow(
        run.pipeline_type,
        inputs.service_type,
        build_config(run, inputs),
        ask_server=lambda: ask_for_service(client, run),
    )


def _workflow_inputs(run: RunInput, paths: InputPaths, client: ServerClient, channel: ChannelWriter) -> WorkflowInputs:
    source_config = run.source_config or read_source_config(paths.source_config)
    if source_config is None:
        raise ConfigurationError("neither pipeline.json nor a mounted Secret has a sourceConfig")
    channel.send_secrets(secrets_of(source_config))
    connection = read_connection(paths.connection)
    if connection is not None:
        channel.send_secrets(secrets_of(connection))
        service_type = str(connection["config"]["type"])
    else:
        service = fetch_service(client, run)
        channel.send_secrets(secrets_of(service))
        service_type = str(service["serviceType"])
    return WorkflowInputs(
        service_type=service_type,
        source_config=source_config,
        connection=connection,
        jwt_token=jwt_token_of(paths),
    )
