"""The mounted Secrets: the service connection and the source configuration, as YAML or JSON."""

from pathlib import Path
from typing import Any

import yaml

from ingestion_runner.outcomes import ConfigurationError


def read_connection(path: Path) -> dict[str, Any] | None:
    """The service connection as ``{"config": {...}}``, or None when none is mounted.

    The file may hold the bare connection (``type: Postgres``, …) or wrap it in ``config``.

    Raises
    ------
    ConfigurationError
        The file holds no such connection.
    """
    document = _read(path)
    if document is None:
        return None
    connection = document if "config" in document and "type" not in document else {"config": document}
    config = connection["config"]
    if not isinstance(config, dict) or not isinstance(config.get("type"), str):
        raise ConfigurationError(f"{path}: the connection has no type, such as Postgres")
    return {"config": config}


def read_source_config(path: Path) -> dict[str, Any] | None:
    """The source configuration as ``{"config": {...}}``, or None when none is mounted.

    Raises
    ------
    ConfigurationError
        The file holds no ``config``.
    """
    document = _read(path)
    if document is not None and not isinstance(document.get("config"), dict):
        raise ConfigurationError(f"{path}: the source configuration has no config")
    return document


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        # Not the error's text: it quotes the line, and the line may be the password.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigurationError(f"{path} is neither YAML nor JSON{where}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} must hold a mapping")
    return document
