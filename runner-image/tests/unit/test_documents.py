import json
from pathlib import Path

import pytest

from ingestion_runner.outcomes import ConfigurationError
from ingestion_runner.workflow.documents import read_connection, read_source_config

CONNECTION = {"type": "Postgres", "hostPort": "db:5432", "authType": {"password": "hunter2"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CONNECTION),
        json.dumps({"config": CONNECTION}),
        "type: Postgres\nhostPort: db:5432\nauthType:\n  password: hunter2\n",
        "config:\n  type: Postgres\n  hostPort: db:5432\n  authType: {password: hunter2}\n",
    ],
)
def test_connection_is_read_from_yaml_and_json_bare_or_wrapped(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connection"
    path.write_text(text)

    assert read_connection(path) == {"config": CONNECTION}


def test_connection_is_absent_when_it_is_not_mounted(tmp_path: Path) -> None:
    assert read_connection(tmp_path / "connection") is None
    assert read_source_config(tmp_path / "source-config") is None


@pytest.mark.parametrize("text", ["", "text", "[1]", "hostPort: db", "config: {hostPort: db}", "config: 1"])
def test_connection_without_a_type_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connection"
    path.write_text(text)

    with pytest.raises(ConfigurationError):
        read_connection(path)


def test_connection_that_is_not_yaml_is_refused_unquoted(tmp_path: Path) -> None:
    path = tmp_path / "connection"
    path.write_text("type: Postgres\npassword: 'hunter2\n")

    with pytest.raises(ConfigurationError, match="neither YAML nor JSON") as refused:
        read_connection(path)

    assert "hunter2" not in str(refused.value)


def test_source_config_needs_its_config(tmp_path: Path) -> None:
    path = tmp_path / "source-config"
    path.write_text("type: DatabaseMetadata\n")

    with pytest.raises(ConfigurationError, match="has no config"):
        read_source_config(path)
