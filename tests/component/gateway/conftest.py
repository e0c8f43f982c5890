"""A gateway over a recording service; one for each module, as starting it is most of a test's time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from testing.gateway import Running, run_gateway, write_credentials
from testing.objects import settings as make_settings
from testing.server_client import ServerClient
from tests.component.gateway.recording_service import RecordingService


class SettingsInForce:
    """The settings that the gateway sees; a test may put others."""

    def __init__(self) -> None:
        self.now: Settings = make_settings()

    def current(self) -> Settings:
        return self.now


@pytest.fixture(scope="module")
def credentials_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_credentials(tmp_path_factory.mktemp("credentials"), plain=("admin", "secret"))


@pytest.fixture(scope="module")
def shared_service() -> RecordingService:
    return RecordingService()


@pytest.fixture(scope="module")
def shared_settings() -> SettingsInForce:
    return SettingsInForce()


@pytest.fixture(scope="module")
def running(
    shared_service: RecordingService, shared_settings: SettingsInForce, credentials_folder: Path
) -> Iterator[Running]:
    gateway = Gateway(shared_service, shared_settings.current, Credentials(credentials_folder))
    with run_gateway(gateway) as served:
        yield served


@pytest.fixture(autouse=True)
def _as_usual(shared_service: RecordingService, shared_settings: SettingsInForce) -> None:
    shared_service.reset()
    shared_settings.now = make_settings()


@pytest.fixture
def service(shared_service: RecordingService) -> RecordingService:
    """The service behind the gateway."""
    return shared_service


@pytest.fixture
def settings(shared_settings: SettingsInForce) -> SettingsInForce:
    """The settings of the gateway."""
    return shared_settings


@pytest.fixture
def old_server(running: Running) -> Iterator[ServerClient]:
    """A server of 0.12 to 1.10."""
    client = ServerClient.old(running.port)
    yield client
    client.close()


@pytest.fixture
def new_server(running: Running) -> Iterator[ServerClient]:
    """A server that knows Airflow 3."""
    client = ServerClient.new(running.port)
    yield client
    client.close()


@pytest.fixture(params=["old", "new"])
def server(request: pytest.FixtureRequest) -> ServerClient:
    """A server of either kind."""
    client: ServerClient = request.getfixturevalue(f"{request.param}_server")
    return client
