"""The service of the run, as the server knows it."""

import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ingestion_runner.inputs import RunInput
from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.server import ServerCallError, ServerClient

CALL_TIMEOUT_SECONDS = 10.0
TRIES = 3


def fetch_service(client: ServerClient, run: RunInput) -> Mapping[str, Any]:
    """The service entity, with its type and its connection.

    Raises
    ------
    RunError
        The server is out of reach, refuses the token, or has no such service.
    """
    service = _get(client, run)
    if not isinstance(service, dict) or not isinstance(service.get("serviceType"), str):
        raise _not_found(run)
    if not service.get("connection"):
        raise RunError(
            Reason.CONNECTION_MISSING,
            f"{run.service_name!r} has no connection in OpenMetadata that this bot may see: add one there, "
            "or give the pipeline a connection Secret",
        )
    return service


def ask_for_service(client: ServerClient, run: RunInput) -> None:
    """Make the same call only to learn whether the server answers and accepts the token.

    Raises
    ------
    RunError
        It does not.
    """
    try:
        _get(client, run)
    except RunError as error:
        if error.reason is not Reason.SERVICE_NOT_FOUND:
            raise


def _get(client: ServerClient, run: RunInput) -> Any:
    path = ("services", f"{run.service_type}s", "name", run.service_name)
    tries_left = TRIES
    while True:
        tries_left -= 1
        try:
            return client.get(*path, timeout=CALL_TIMEOUT_SECONDS)
        except ServerCallError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise _not_found(run) from error
            if not error.transient or not tries_left:
                raise
        time.sleep(random.uniform(0.5, 2))  # noqa: S311 - no secret depends on it


def _not_found(run: RunInput) -> RunError:
    message = f"OpenMetadata has no {run.service_type} named {run.service_name!r}"
    return RunError(Reason.SERVICE_NOT_FOUND, message)
