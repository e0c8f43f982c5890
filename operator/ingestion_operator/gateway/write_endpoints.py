"""The endpoints that write."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from fastapi import Request
from fastapi.responses import JSONResponse

from ingestion_operator.api.service import Response
from ingestion_operator.gateway.bounded_executor import WRITE_SECONDS, BoundedExecutor
from ingestion_operator.gateway.request_parsing import Parameters, is_uuid, read_object, read_query
from ingestion_operator.gateway.responses import message
from ingestion_operator.gateway.service import PipelineService

_logger = logging.getLogger(__name__)

_CONF: Final = frozenset({"pipelineRunId", "appConfigOverride", "sourceConfigOverride"})


class WriteEndpoints:
    """Handlers of the POST and DELETE endpoints.

    Each responds once the API server has accepted the change, or with 503 after WRITE_SECONDS; an operation that has
    started then continues. Every request may be repeated.
    """

    def __init__(self, service: PipelineService, executor: BoundedExecutor) -> None:
        self._service = service
        self._executor = executor

    async def deploy(self, request: Request) -> JSONResponse:
        """Create or update a pipeline from OpenMetadata's IngestionPipeline entity."""
        entity = await read_object(request)
        return await self._run(partial(self._service.deploy_pipeline, entity))

    async def trigger(self, request: Request) -> JSONResponse:
        """Accept a run, also of a paused pipeline. Requests with the same run id are one run."""
        parameters = Parameters(await read_object(request))
        query = read_query(request)
        name = parameters.pipeline_name()
        conf = parameters.inside("conf")
        run_id = conf.uuid("pipelineRunId") or _run_id(name, query.get("run_id"))
        config_override = conf.mapping("appConfigOverride")
        source_config_override = conf.mapping("sourceConfigOverride")
        parameters.check()
        if unknown := conf.keys - _CONF:
            _logger.warning("Ignored unknown keys in the conf of a trigger: %s", ", ".join(sorted(unknown)))
        return await self._run(
            partial(
                self._service.run_pipeline,
                name,
                run_id=run_id,
                config_override=config_override,
                source_config_override=source_config_override,
            )
        )

    async def enable(self, request: Request) -> JSONResponse:
        """Resume the schedule."""
        return await self._run(partial(self._service.toggle_ingestion, await _name_in_body(request), enabled=True))

    async def disable(self, request: Request) -> JSONResponse:
        """Pause the schedule. Current runs continue."""
        return await self._run(partial(self._service.toggle_ingestion, await _name_in_body(request), enabled=False))

    async def kill(self, request: Request) -> JSONResponse:
        """Stop all runs of a pipeline, or the run `run_id`, a parameter that servers do not send yet."""
        parameters = Parameters(await read_object(request))
        name, run_id = parameters.pipeline_name(), parameters.uuid("run_id")
        parameters.check()
        everything, one = self._service.kill_ingestion, self._service.kill_ingestion_run
        return await self._run(partial(everything, name) if run_id is None else partial(one, name, run_id))

    async def delete(self, request: Request) -> JSONResponse:
        """Delete a pipeline with its runs and Secrets."""
        parameters = Parameters(read_query(request))
        name = parameters.pipeline_name()
        parameters.check()
        return await self._run(partial(self._service.delete_pipeline, name))

    async def run_automation(self, request: Request) -> JSONResponse:
        """Start an automation, such as a connection test. Its result is written to OpenMetadata."""
        workflow = await read_object(request)
        return await self._run(partial(self._service.run_automation, workflow))

    async def test_connection(self, request: Request) -> JSONResponse:
        """Start a connection test; the request is that of `run_automation`."""
        workflow = await read_object(request)
        return await self._run(partial(self._service.test_connection, workflow))

    async def run_application(self, request: Request) -> JSONResponse:
        """Run OpenMetadata's App entity once."""
        application = await read_object(request)
        return await self._run(partial(self._service.run_application, application))

    async def _run(self, call: Callable[[], Response]) -> JSONResponse:
        return message((await self._executor.run(call, seconds=WRITE_SECONDS)).reason)


async def _name_in_body(request: Request) -> str:
    parameters = Parameters(await read_object(request))
    name = parameters.pipeline_name()
    parameters.check()
    return name


def _run_id(name: str, given: str | None) -> str | None:
    """Return the UUID of a run id that is any text, as OpenMetadata's Airflow plugin derives it."""
    if given is None or is_uuid(given):
        return given
    return str(uuid5(NAMESPACE_URL, f"openmetadata:{name}:{given}"))
