"""Calls to the server for the service of the run, and checks of the token."""

import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ingestion_runner.inputs import Service
from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.server import ServerCallError, ServerClient

CALL_TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3


def fetch_service(client: ServerClient, service: Service) -> Mapping[str, Any]:
    """Return the service entity, with its type and connection.

    Raises:
        RunError: The server is unreachable, rejects the token, or has no such service.
    """
    found = _get_service(client, service)
    if not isinstance(found, dict) or not isinstance(found.get("serviceType"), str):
        raise _not_found(service)
    if not found.get("connection"):
        raise RunError(
            Reason.CONNECTION_MISSING,
            f"{service.name!r} has no connection in OpenMetadata that this bot may see: add one there, "
            "or set connectionSecretRef in the pipeline",
        )
    return found


def check_service_access(client: ServerClient, service: Service) -> None:
    """Make the same call only to check that the server responds and accepts the token.

    Raises:
        RunError: It does not.
    """
    try:
        _get_service(client, service)
    except RunError as error:
        if error.reason is not Reason.SERVICE_NOT_FOUND:
            raise


def check_token(client: ServerClient) -> None:
    """Check the same for a run without a service.

    Raises:
        RunError: The server is unreachable or rejects the token.
    """
    _get(client, "users", "loggedInUser")


def _get_service(client: ServerClient, service: Service) -> Any:
    try:
        return _get(client, "services", f"{service.type}s", "name", service.name)
    except ServerCallError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise _not_found(service) from error
        raise


def _get(client: ServerClient, *path: str) -> Any:
    attempts_left = ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            return client.get(*path, timeout=CALL_TIMEOUT_SECONDS)
        except ServerCallError as error:
            if not error.transient or not attempts_left:
                raise
        time.sleep(random.uniform(0.5, 2))  # noqa: S311 - no secret depends on it


def _not_found(service: Service) -> RunError:
    message = f"OpenMetadata has no {service.type} named {service.name!r}"
    return RunError(Reason.SERVICE_NOT_FOUND, message)
