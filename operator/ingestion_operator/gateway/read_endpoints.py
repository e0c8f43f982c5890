"""The endpoints that change nothing."""

from collections.abc import Callable
from functools import partial

from fastapi import Request
from fastapi.responses import JSONResponse

from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Rejected
from ingestion_operator.gateway.airflow_contract import RESERVED_TASKS, log_answer, run_item
from ingestion_operator.gateway.bounded_executor import READ_SECONDS, Work
from ingestion_operator.gateway.request_parsing import Parameters, read_query
from ingestion_operator.gateway.service import PipelineService

_STATUS_LIMIT = 10


class Observing:
    """Reads from the settings what needs no cluster, and the rest through the service."""

    def __init__(self, service: PipelineService, settings: Callable[[], Settings], work: Work) -> None:
        self._service = service
        self._settings = settings
        self._work = work

    async def health(self, _: Request) -> JSONResponse:
        """Tell the version of openmetadata-ingestion that runs by default.

        The server compares it with its own. No call to the cluster: a server that finds no answer within five
        seconds takes the whole endpoint for a wrong one.
        """
        settings = self._settings()
        version = settings.runner_images[settings.default_server_version].version
        return JSONResponse({"status": "healthy", "version": version})

    async def csrf_token(self, _: Request) -> JSONResponse:
        """Give a constant token, which nothing checks.

        Basic authentication with every request leaves nothing to forge. A server that gets none asks again
        before every change.
        """
        return JSONResponse({"csrf_token": "not-needed", "message": "Any token is accepted"})

    async def ip(self, _: Request) -> JSONResponse:
        """Tell the address that runs come from, or "unknown"."""
        address = await self._work.run(self._service.request_get_host_ip, seconds=READ_SECONDS)
        return JSONResponse({"ip": address})

    async def status(self, request: Request) -> JSONResponse:
        """List the last runs, newest first, or the queued ones among them."""
        parameters = Parameters(read_query(request))
        name = parameters.pipeline_name()
        only_queued = parameters.boolean("only_queued")
        parameters.check()
        call = partial(self._service.get_pipeline_status, name, only_queued=only_queued, limit=_STATUS_LIMIT)
        runs = await self._work.run(call, seconds=READ_SECONDS)
        return JSONResponse([run_item(run) for run in runs])

    async def last_dag_logs(self, request: Request) -> JSONResponse:
        """Return a page of the last run's log, or of the one that `run_id` names: servers do not ask for it yet."""
        query = read_query(request)
        parameters = Parameters(query)
        name = parameters.pipeline_name()
        after = parameters.page("after")
        run_id = parameters.uuid("run_id")
        parameters.check()
        task = query.get("task_id")
        if task in RESERVED_TASKS:
            raise Rejected("InvalidRequest", f"Invalid parameter value for 'task_id': {task!r} is no task")
        last, one = self._service.get_last_ingestion_logs, self._service.get_ingestion_logs
        call = partial(last, name, after=after) if run_id is None else partial(one, name, run_id, after=after)
        page = await self._work.run(call, seconds=READ_SECONDS)
        return JSONResponse(log_answer(page, task))
