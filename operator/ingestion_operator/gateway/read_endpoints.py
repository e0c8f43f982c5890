"""The endpoints that only read."""

from collections.abc import Callable
from functools import partial

from fastapi import Request
from fastapi.responses import JSONResponse

from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Rejected
from ingestion_operator.gateway.airflow_contract import RESERVED_TASKS, log_response, run_item
from ingestion_operator.gateway.bounded_executor import READ_SECONDS, BoundedExecutor
from ingestion_operator.gateway.request_parsing import Parameters, read_query
from ingestion_operator.gateway.service import PipelineService

_STATUS_LIMIT = 10


class ReadEndpoints:
    """Handlers of the GET endpoints. They use the settings where they can, and otherwise the service."""

    def __init__(self, service: PipelineService, settings: Callable[[], Settings], executor: BoundedExecutor) -> None:
        self._service = service
        self._settings = settings
        self._executor = executor

    async def health(self, _: Request) -> JSONResponse:
        """Return the default version of openmetadata-ingestion.

        The server compares it with its own version. The handler does not call the cluster: a server that gets no
        response within five seconds treats the endpoint as wrong.
        """
        settings = self._settings()
        version = settings.runner_images[settings.default_server_version].version
        return JSONResponse({"status": "healthy", "version": version})

    async def csrf_token(self, _: Request) -> JSONResponse:
        """Return a constant token, which is not checked.

        Every request has Basic authentication, so CSRF is not possible. A server without a token requests one before
        every change.
        """
        return JSONResponse({"csrf_token": "not-needed", "message": "Any token is accepted"})

    async def ip(self, _: Request) -> JSONResponse:
        """Return the source address of runs, or "unknown"."""
        address = await self._executor.run(self._service.request_get_host_ip, seconds=READ_SECONDS)
        return JSONResponse({"ip": address})

    async def status(self, request: Request) -> JSONResponse:
        """Return the last runs, newest first, or only the queued ones."""
        parameters = Parameters(read_query(request))
        name = parameters.pipeline_name()
        only_queued = parameters.boolean("only_queued")
        parameters.check()
        call = partial(self._service.get_pipeline_status, name, only_queued=only_queued, limit=_STATUS_LIMIT)
        runs = await self._executor.run(call, seconds=READ_SECONDS)
        return JSONResponse([run_item(run) for run in runs])

    async def last_dag_logs(self, request: Request) -> JSONResponse:
        """Return a page of the log of the last run, or of the run `run_id`, which servers do not send yet."""
        query = read_query(request)
        parameters = Parameters(query)
        name = parameters.pipeline_name()
        after = parameters.page("after")
        run_id = parameters.uuid("run_id")
        parameters.check()
        task = query.get("task_id")
        if task in RESERVED_TASKS:
            raise Rejected("InvalidRequest", f"Invalid parameter value for 'task_id': {task!r} is not a task")
        last, one = self._service.get_last_ingestion_logs, self._service.get_ingestion_logs
        call = partial(last, name, after=after) if run_id is None else partial(one, name, run_id, after=after)
        page = await self._executor.run(call, seconds=READ_SECONDS)
        return JSONResponse(log_response(page, task))
