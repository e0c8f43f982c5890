import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion_runner.fields import read_document
from ingestion_runner.inputs import (
    Kind,
    ReportTarget,
    RunInput,
    Server,
    Service,
    kind_of,
    refusal_outside_schedule,
    report_target,
    run_id_from,
    run_input,
)
from ingestion_runner.outcomes import ConfigurationError
from runner_testing.pod import RUN_ID, pipeline_document

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def parsed(**changes: Any) -> RunInput:
    document = pipeline_document("http://openmetadata:8585/api", **changes)
    return run_input(document, RUN_ID)


def test_run_input_ignores_what_it_does_not_know() -> None:
    run = parsed(somethingNew={"a": 1})

    assert run.fully_qualified_name == "shop.nightly"
    assert run.server == Server(host_port="http://openmetadata:8585/api")
    assert run.service == Service("databaseService", "shop")
    assert run.force_kill_after_seconds == 20


def test_run_input_takes_the_servers_tls_and_headers() -> None:
    server = {
        "hostPort": "https://om/api/",
        "verifySSL": "validate",
        "sslConfig": {"caCertificate": "/ca.pem"},
        "extraHeaders": {"X-Team": "data"},
    }

    assert parsed(server=server).server == Server(
        host_port="https://om/api",
        verify_ssl="validate",
        ca_certificate="/ca.pem",
        extra_headers={"X-Team": "data"},
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fullyQualifiedName": None}, "fullyQualifiedName is missing"),
        ({"fullyQualifiedName": ""}, "fullyQualifiedName is empty"),
        ({"pipelineType": 1}, "pipelineType must be a string"),
        ({"service": {"type": "databaseService"}}, "service.name is missing"),
        ({"server": {}}, "server.hostPort is missing"),
        ({"server": {"hostPort": "openmetadata:8585/api"}}, "must start with http:// or https://"),
        ({"server": {"hostPort": "http://om/api", "verifySSL": "yes"}}, "server.verifySSL"),
        ({"server": {"hostPort": "http://om/api", "secretsManagerLoader": "airflow"}}, "server.secretsManagerLoader"),
        ({"sourceConfig": "text"}, "sourceConfig must be an object"),
        ({"startDate": "soon"}, "startDate must be an RFC 3339 time"),
        ({"endDate": "2026-01-01T00:00:00"}, "endDate must be an RFC 3339 time with a zone"),
        ({"forceKillAfterSeconds": 30}, "forceKillAfterSeconds must be above 0 and below 30"),
        ({"forceKillAfterSeconds": True}, "forceKillAfterSeconds must be a number"),
    ],
)
def test_run_input_names_the_field_that_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parsed(**changes)


def test_run_is_reported_under_its_pipelines_name() -> None:
    document = pipeline_document("http://openmetadata:8585/api")

    server = Server(host_port="http://openmetadata:8585/api")
    assert report_target(document, RUN_ID) == ReportTarget(server, "shop.nightly", RUN_ID)


def test_application_needs_neither_a_service_nor_a_pipeline() -> None:
    document = pipeline_document(
        "http://openmetadata:8585/api", pipelineType="application", fullyQualifiedName=None, service=None
    )

    run = run_input(document, RUN_ID)

    assert (run.fully_qualified_name, run.service) == (None, None)
    assert report_target(document, RUN_ID) is None


def test_application_of_a_pipeline_reads_no_service() -> None:
    document = pipeline_document("http://openmetadata:8585/api", pipelineType="application")

    target = report_target(document, RUN_ID)

    assert target is not None
    assert target.fully_qualified_name == "shop.nightly"
    assert run_input(document, RUN_ID).service is None


@pytest.mark.parametrize(
    ("document", "kind"),
    [({}, Kind.RUN), ({"kind": "run"}, Kind.RUN), ({"version": 1, "kind": "automation"}, Kind.AUTOMATION)],
)
def test_document_has_the_kind_of_the_pod(document: dict[str, Any], kind: Kind) -> None:
    assert kind_of(document) is kind


@pytest.mark.parametrize("kind", ["backup", 1])
def test_document_with_another_kind_is_refused(kind: object) -> None:
    with pytest.raises(ConfigurationError, match="kind"):
        kind_of({"kind": kind})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RUN_ID": RUN_ID, "JOB_UID": "11111111-1111-4111-8111-111111111111"}, RUN_ID),
        ({"RUN_ID": "", "JOB_UID": RUN_ID}, RUN_ID),
        ({"JOB_UID": RUN_ID.upper()}, RUN_ID),
    ],
)
def test_run_id_is_the_callers_or_else_the_jobs(environ: dict[str, str], expected: str) -> None:
    assert run_id_from(environ) == expected


@pytest.mark.parametrize(
    "environ", [{}, {"RUN_ID": "", "JOB_UID": ""}, {"RUN_ID": "nightly"}, {"JOB_UID": RUN_ID + "0"}]
)
def test_run_id_must_be_a_uuid(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        run_id_from(environ)


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_document_must_be_a_json_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"pipeline\.json"):
        read_document(path)


def test_document_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_document(tmp_path / "pipeline.json")


@pytest.mark.parametrize(
    ("start", "end", "refused"),
    [
        (None, None, None),
        (NOW - timedelta(days=1), NOW + timedelta(days=1), None),
        (NOW, NOW, None),
        (NOW + timedelta(seconds=1), None, "starts at 2026-06-01T12:00:01"),
        (None, NOW - timedelta(seconds=1), "ended at 2026-06-01T11:59:59"),
    ],
)
def test_run_is_refused_outside_its_schedule(start: datetime | None, end: datetime | None, refused: str | None) -> None:
    run = parsed(
        startDate=start.isoformat() if start else None,
        endDate=end.isoformat().replace("+00:00", "Z") if end else None,
    )

    refusal = refusal_outside_schedule(run, NOW)

    assert (refusal is None) if refused is None else refused in (refusal or "")


def test_document_is_read_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    path.write_bytes(json.dumps({"displayName": "Nächtlich"}, ensure_ascii=False).encode())

    assert read_document(path) == {"displayName": "Nächtlich"}
