"""Services of other kinds, applications, and tests of connections."""

from collections.abc import Callable
from typing import Final

from testing import manifests
from tests.scenarios.types import sources
from tests.scenarios.types.case import Case, Expected, Seen
from tests.scenarios.types.cases.databases import POSTGRES, SUCCESS, WRONG_PASSWORD
from tests.scenarios.types.environment import Environment

_FILES: Final = f"http://{manifests.FILES}:{manifests.FILES_PORT}"
_CONNECTION_TEST: Final = "test connection"


def read_api(path: str) -> Callable[[Environment, str], Seen]:
    """Catalogue an API by the OpenAPI document at that path."""
    return lambda environment, name: environment.run(
        name,
        "metadata",
        {"type": "ApiMetadata"},
        service={"type": "apiService", "name": sources.ORDERING},
        connection=sources.rest(f"{_FILES}/{path}"),
    )


def run_application(python_class: str) -> Callable[[Environment, str], Seen]:
    """Run an application that prints what its configuration has."""
    return lambda environment, name: environment.run(
        name,
        "application",
        {"type": "Application", "sourcePythonClass": python_class, "appConfig": {"sleep": 0, "echo": "hello"}},
        service={"type": "metadataService", "name": sources.APPLICATIONS},
    )


def endpoints_are_known(environment: Environment) -> None:
    """Each operation of the document, in the collection that it is tagged with."""
    found = {
        (endpoint["apiCollection"]["name"], endpoint["name"], endpoint["requestMethod"])
        for endpoint in environment.installation.fake_server.entities("apiEndpoints")
    }
    assert found == {
        ("orders", "/orders/get", "GET"),
        ("orders", "/orders/post", "POST"),
        ("stock", "/stock/get", "GET"),
    }


OTHER_SERVICES: Final = (
    Case(
        "metadata-api",
        "metadata",
        "an API, by its OpenAPI document",
        "",
        read_api("openapi.json"),
        SUCCESS,
        endpoints_are_known,
        is_quick=True,
    ),
    Case(
        "metadata-api-missing",
        "metadata",
        "an API",
        "no document at its URL",
        read_api("nothing.json"),
        Expected("failed", "InitializationFailed", "Status Code was: 404"),
    ),
    Case(
        "application",
        "application",
        "the library's own example",
        "",
        run_application("metadata.applications.example.HelloPipelines"),
        Expected("success", "Succeeded", "log:hello"),
        is_quick=True,
    ),
    Case(
        "application-missing",
        "application",
        "none",
        "its class is not in the image",
        run_application("my_company.Application"),
        Expected("failed", "InvalidConfiguration", "my_company.Application"),
    ),
    Case(
        "connection",
        _CONNECTION_TEST,
        POSTGRES,
        "",
        lambda environment, name: environment.try_connection(name, environment.connection),
        Expected("Successful", ""),
    ),
    Case(
        "connection-refused",
        _CONNECTION_TEST,
        POSTGRES,
        "wrong password",
        lambda environment, name: environment.try_connection(name, environment.connection_with(WRONG_PASSWORD)),
        Expected("Failed", "CheckAccess", "password authentication failed"),
    ),
)
