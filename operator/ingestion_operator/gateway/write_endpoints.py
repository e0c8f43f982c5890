"""The endpoints that change something."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from fastapi import Request
from fastapi.responses import JSONResponse

from ingestion_operator.api.service import Response
from ingestion_operator.gateway.bounded_executor import WRITE_SECONDS, Work
from ingestion_operator.gateway.request_parsing import Parameters, is_uuid, read_object, read_query
from ingestion_operator.gateway.responses import message
from ingestion_operator.gateway.service import PipelineService

_logger = logging.getLogger(__name__)

_CONF: Final = frozenset({"pipelineRunId", "appConfigOverride", "sourceConfigOverride"})


class Operating:
    """Each answers when the API server has accepted, or not within WRITE_SECONDS: then with 503, and what has begun
    goes on. All of them may be repeated.
    """

    def __init__(self, service: PipelineService, work: Work) -> None:
        self._service = service
        self._work = work

    async def deploy(self, request: Request) -> JSONResponse:
        """Create or update a pipeline from OpenMetadata's IngestionPipeline entity."""
        entity = await read_object(request)
        return await self._done(partial(self._service.deploy_pipeline, entity))

    async def trigger(self, request: Request) -> JSONResponse:
        """Accept a run, also of a paused pipeline. The same run id twice is one run."""
        parameters = Parameters(await read_object(request))
        query = read_query(request)
        name = parameters.pipeline_name()
        conf = parameters.inside("conf")
        run_id = conf.uuid("pipelineRunId") or _run_id(name, query.get("run_id"))
        config_override = conf.mapping("appConfigOverride")
        source_config_override = conf.mapping("sourceConfigOverride")
        parameters.check()
        if unknown := conf.keys - _CONF:
            _logger.warning("Ignored in the conf of a trigger: %s", ", ".join(sorted(unknown)))
        return await self._done(
            partial(
                self._service.run_pipeline,
                name,
                run_id=run_id,
                config_override=config_override,
                source_config_override=source_config_override,
            )
        )

    async def enable(self, request: Request) -> JSONResponse:
        """Let the schedule fire again."""
        return await self._done(partial(self._service.toggle_ingestion, await _name_in_body(request), enabled=True))

    async def disable(self, request: Request) -> JSONResponse:
        """Pause the schedule; runs go on."""
        return await self._done(partial(self._service.toggle_ingestion, await _name_in_body(request), enabled=False))

    async def kill(self, request: Request) -> JSONResponse:
        """End all runs of a pipeline, or the one that `run_id` names: servers do not ask for it yet."""
        parameters = Parameters(await read_object(request))
        name, run_id = parameters.pipeline_name(), parameters.uuid("run_id")
        parameters.check()
        everything, one = self._service.kill_ingestion, self._service.kill_ingestion_run
        return await self._done(partial(everything, name) if run_id is None else partial(one, name, run_id))

    async def delete(self, request: Request) -> JSONResponse:
        """Delete a pipeline and everything of it."""
        parameters = Parameters(read_query(request))
        name = parameters.pipeline_name()
        parameters.check()
        return await self._done(partial(self._service.delete_pipeline, name))

    async def run_automation(self, request: Request) -> JSONResponse:
        """Start an automation, such as the test of a connection; its result goes to OpenMetadata."""
        workflow = await read_object(request)
        return await self._done(partial(self._service.run_automation, workflow))

    async def test_connection(self, request: Request) -> JSONResponse:
        """Start the test of a connection, described as for `run_automation`."""
        workflow = await read_object(request)
        return await self._done(partial(self._service.test_connection, workflow))

    async def run_application(self, request: Request) -> JSONResponse:
        """Run OpenMetadata's App entity once."""
        application = await read_object(request)
        return await self._done(partial(self._service.run_application, application))

    async def _done(self, call: Callable[[], Response]) -> JSONResponse:
        return message((await self._work.run(call, seconds=WRITE_SECONDS)).reason)


async def _name_in_body(request: Request) -> str:
    parameters = Parameters(await read_object(request))
    name = parameters.pipeline_name()
    parameters.check()
    return name


def _run_id(name: str, given: str | None) -> str | None:
    """Return the UUID for a run id that a caller chose freely, as the Airflow plugin derives it."""
    if given is None or is_uuid(given):
        return given
    return str(uuid5(NAMESPACE_URL, f"openmetadata:{name}:{given}"))
