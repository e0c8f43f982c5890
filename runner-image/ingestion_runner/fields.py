"""Fields of the JSON documents of a pod, with error messages that name the field."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingestion_runner.outcomes import ConfigurationError


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ConfigurationError: The file cannot be read or does not contain a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} must contain a JSON object")
    return document


def field(data: Mapping[str, Any], name: str, kind: Any, *, where: str, required: bool = True) -> Any:
    """Return the value of a field, or None if it is missing and not required.

    ``kind`` is ``str``, ``dict`` or a tuple of number types; ``where`` is the prefix of the name in messages.

    Raises:
        ConfigurationError: The field is missing, empty or of another kind.
    """
    value = data.get(name)
    if value is None:
        if required:
            raise ConfigurationError(f"{where}{name} is missing")
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = "a number" if isinstance(kind, tuple) else {str: "a string", dict: "an object"}[kind]
        raise ConfigurationError(f"{where}{name} must be {expected}")
    if value == "" and required:
        raise ConfigurationError(f"{where}{name} is empty")
    return value
