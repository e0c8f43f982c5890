"""Applications of OpenMetadata: Python classes that the library starts with a configuration."""

import importlib
import traceback
from collections.abc import Mapping
from typing import Any

from ingestion_runner.outcomes import ConfigurationError
from ingestion_runner.text import cut, one_line
from ingestion_runner.workflow.failures import explain_import_failure

_FIELD = "sourceConfig.config.sourcePythonClass"
_BASE_CLASS = ("metadata.workflow.application", "AppRunner")
_ERROR_CHARACTERS = 300


def python_class_of(source_config: Mapping[str, Any]) -> str:
    """Return the name of the application's class, such as ``package.module.Class``.

    Raises:
        ConfigurationError: It is missing or invalid.
    """
    config = source_config.get("config")
    name = config.get("sourcePythonClass") if isinstance(config, Mapping) else None
    if not isinstance(name, str) or not all(name.rpartition(".")):
        raise ConfigurationError(f"{_FIELD} must name the application's class as package.module.Class, not {name!r}")
    return name


def require_runner_class(name: str) -> None:
    """Check the class of an application. The library would report an error later, and without the name.

    Raises:
        RunError: The class is not in this image, is not an application, or one of its dependencies is missing.
    """
    module_name, _, class_name = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        if not _is_within(module_name, error.name):
            traceback.print_exc()
            raise explain_import_failure(error, f"applications of the class {name}") from error
        reason = cut(one_line(str(error)), _ERROR_CHARACTERS)
        raise ConfigurationError(f"{_FIELD}: {name!r} is not in this image ({reason})") from error
    if found is None:
        raise ConfigurationError(f"{_FIELD}: {module_name} has no {class_name!r}")
    base = getattr(importlib.import_module(_BASE_CLASS[0]), _BASE_CLASS[1])
    if not isinstance(found, type) or not issubclass(found, base):
        raise ConfigurationError(f"{_FIELD}: {name!r} is not an application: it is not derived from {_BASE_CLASS[1]}")


def _is_within(module_name: str, missing: str | None) -> bool:
    """Return whether the missing module is the module itself or one of its parent packages."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")
