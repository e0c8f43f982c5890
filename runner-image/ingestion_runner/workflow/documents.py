"""The mounted Secrets with the service connection and the source configuration, in YAML or JSON."""

from pathlib import Path
from typing import Any

import yaml

from ingestion_runner.outcomes import ConfigurationError


def read_connection(path: Path) -> dict[str, Any] | None:
    """Return the service connection as ``{"config": {...}}``, or None if none is mounted.

    The file may contain the connection itself (``type: Postgres``, …) or an object with ``config``.

    Raises:
        ConfigurationError: The file has no connection.
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
    """Return the source configuration as ``{"config": {...}}``, or None if none is mounted.

    Raises:
        ConfigurationError: The file has no ``config``.
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
        # Without the text of the error: it quotes the line, which may be a password.
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1}, column {place.column + 1})" if place else ""
        raise ConfigurationError(f"{path} is neither YAML nor JSON{where}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} must contain a mapping")
    return document
