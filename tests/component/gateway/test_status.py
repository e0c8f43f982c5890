"""Runs as a server reads them, and the version that it compares with its own."""

import re
import time
from typing import Any

import pytest

from ingestion_operator.api.service import RunStatus
from ingestion_operator.errors import NotFound
from testing.objects import settings as make_settings
from testing.server_client import ServerClient
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService

QUEUED = RunStatus(run_id="r-2", pipeline_state="queued", timestamp=1717200000000)
ENDED = RunStatus(
    run_id="r-1", pipeline_state="stopped", start_date=1717100001000, timestamp=1717100000000, end_date=1717100002000
)


def test_a_run_has_exactly_the_keys_that_a_server_reads(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_pipeline_status"] = [QUEUED, ENDED]
    assert server.queued("nightly").json == [
        {
            "runId": "r-2",
            "pipelineState": "queued",
            "startDate": None,
            "timestamp": 1717200000000,
            "endDate": None,
        },
        {
            "runId": "r-1",
            "pipelineState": "stopped",
            "startDate": 1717100001000,
            "timestamp": 1717100000000,
            "endDate": 1717100002000,
        },
    ]


def test_a_pipeline_without_runs_has_an_empty_list(server: ServerClient) -> None:
    assert server.queued("nightly").json == []


@pytest.mark.parametrize(
    ("query", "only_queued"),
    [
        ({}, False),
        ({"only_queued": ""}, False),
        ({"only_queued": "true"}, True),
        ({"only_queued": "True"}, True),
        ({"only_queued": "false"}, False),
    ],
)
def test_all_runs_are_asked_for_unless_only_queued_ones_are(
    server: ServerClient, service: RecordingService, query: dict[str, str], only_queued: bool
) -> None:
    assert server.read("status", {"dag_id": "nightly", **query}).code == 200
    assert service.calls == [("get_pipeline_status", {"name": "nightly", "only_queued": only_queued, "limit": 10})]


def test_only_queued_must_be_a_boolean(server: ServerClient) -> None:
    reply = server.read("status", {"dag_id": "nightly", "only_queued": "yes"})
    assert (reply.code, reply.error) == (400, "Invalid parameter value for 'only_queued': must be true or false")


def test_an_unknown_pipeline_is_a_404(server: ServerClient, service: RecordingService) -> None:
    service.answers["get_pipeline_status"] = NotFound("there is no pipeline 'nightly'", code=404)
    assert server.queued("nightly").code == 404


@pytest.mark.parametrize("endpoint", ["health", "health-auth"])
def test_health_reports_the_version_in_the_default_runner_image(
    server: ServerClient, settings: SettingsInForce, endpoint: str
) -> None:
    assert server.read(endpoint).json == {"status": "healthy", "version": "2.0.6.0"}
    settings.now = make_settings(defaultServerVersion="1.13")
    version: Any = server.read(endpoint).json["version"]
    assert version == "1.13.2.0"
    assert re.search(r"\d+\.\d+\.\d+", version)


def test_health_asks_nothing_of_the_service(server: ServerClient, service: RecordingService) -> None:
    begin = time.monotonic()
    assert server.read("health-auth").code == 200
    assert time.monotonic() - begin < 1
    assert not service.calls
