import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.constants import RUN_INPUT_LIMIT_BYTES
from ingestion_operator.errors import Rejected
from ingestion_operator.render.run_input import run_input
from testing.objects import pipeline

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_the_source_config_arrives_as_it_was_written(config: dict[str, Any]) -> None:
    assert json.loads(run_input(pipeline(sourceConfig={"config": config})))["sourceConfig"] == {"config": config}


def test_the_document_has_what_the_runner_reads() -> None:
    document = json.loads(
        run_input(
            pipeline(
                displayName="Nightly",
                server={
                    "hostPort": "http://om/api",
                    "version": "2.0",
                    "verifySSL": "ignore",
                    "secretsManagerProvider": "aws",
                    "secretsManagerLoader": "env",
                },
                schedule={
                    "cron": "@daily",
                    "startDate": "2026-01-01T00:00:00+01:00",
                    "endDate": "2026-02-01T00:00:00Z",
                },
            )
        )
    )
    assert document == {
        "version": 1,
        "pipelineType": "metadata",
        "fullyQualifiedName": "shop.nightly",
        "displayName": "Nightly",
        "service": {"type": "databaseService", "name": "shop"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
        "server": {
            "hostPort": "http://om/api",
            "version": "2.0",
            "verifySSL": "ignore",
            "secretsManagerProvider": "aws",
            "secretsManagerLoader": "env",
        },
        "loggerLevel": "INFO",
        "startDate": "2025-12-31T23:00:00Z",
        "endDate": "2026-02-01T00:00:00Z",
    }


def test_what_is_not_set_is_left_out() -> None:
    secret = {"name": "s", "key": "k"}
    document = json.loads(run_input(pipeline(schedule=None, sourceConfig=None, sourceConfigSecretRef=secret)))
    assert document.keys() == {"version", "pipelineType", "fullyQualifiedName", "service", "server", "loggerLevel"}
    assert document["server"] == {"hostPort": "http://openmetadata:8585/api", "verifySSL": "no-ssl"}


@pytest.mark.parametrize(("scheme", "verification"), [("http", "no-ssl"), ("https", "validate")])
def test_the_servers_certificate_is_checked_by_default(scheme: str, verification: str) -> None:
    document = json.loads(run_input(pipeline(server={"hostPort": f"{scheme}://openmetadata/api"})))
    assert document["server"]["verifySSL"] == verification


def test_an_input_above_the_limit_is_rejected() -> None:
    room = RUN_INPUT_LIMIT_BYTES - len(run_input(pipeline(sourceConfig={"config": {"x": ""}})).encode())
    assert len(run_input(pipeline(sourceConfig={"config": {"x": "a" * room}})).encode()) == RUN_INPUT_LIMIT_BYTES
    with pytest.raises(Rejected, match=r"move it into a Secret .* spec\.sourceConfigSecretRef"):
        run_input(pipeline(sourceConfig={"config": {"x": "a" * (room + 1)}}))
