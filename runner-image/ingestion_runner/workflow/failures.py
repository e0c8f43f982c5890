"""Reasons of failed starts, derived from the library's exceptions.

Exceptions are recognised by name along the chain of causes: the names are the same in the library's versions 1.12 to
2.0, while their modules differ.
"""

import contextlib
import logging
import re
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.text import cut, one_line

_MESSAGE_CHARACTERS = 600
_FIELDS_NAMED = 3
_MESSAGES_KEPT = 100
_WRAPPED_MODEL = re.compile(r"^function-\w+\[.*, (\w+)\]$")
# The error of a connection test before 2.0 if the connector cannot be imported. The library has logged the reason.
_LACKING_CONNECTOR = re.compile(
    r"module 'metadata\.ingestion\.source\.\w+\.(\w+)\.connection' has no attribute 'test_connection'"
)


class StartLog(logging.Handler):
    """Collects the log messages during the creation of a workflow.

    The library logs why a check of the connection failed, while its exception only names the check.
    """

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)

    @classmethod
    @contextlib.contextmanager
    def of_the_library(cls) -> Iterator["StartLog"]:
        """Collect the library's messages until the block ends."""
        log = cls()
        library = logging.getLogger("metadata")
        library.addHandler(log)
        try:
            yield log
        finally:
            library.removeHandler(log)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        # A record with invalid arguments must not fail the run.
        with contextlib.suppress(TypeError, ValueError):
            self._messages.append(record.getMessage())

    def about(self, check: str) -> str | None:
        """Return the last message that starts with the name of a check, or None."""
        return next((message for message in reversed(self._messages) if message.startswith(check)), None)


def explain_start_failure(error: BaseException, log: StartLog, check_server: Callable[[], object]) -> RunError:
    """Return the reason of an exception of ``create``.

    ``check_server`` makes one authenticated call and raises RunError if it fails: with an invalid token the library
    raises an unrelated error.
    """
    if type(error).__name__ == "SourceConnectionException":
        check = str(error).rpartition(": ")[2]
        return RunError(Reason.INITIALIZATION_FAILED, _shortened(log.about(check) or str(error)))
    for link in _chain(error):
        if lacking := _LACKING_CONNECTOR.fullmatch(str(link)):
            return _missing_connector(lacking[1])
        explain = _EXPLANATIONS.get(type(link).__name__)
        if explain is not None:
            return explain(link)
    try:
        check_server()
    except RunError as failure:
        return failure
    return RunError(Reason.INITIALIZATION_FAILED, _text(error))


def logged(failure: RunError) -> RunError:
    """Log the traceback of the current exception and return the failure.

    The traceback of an invalid configuration is not logged: it quotes values, which may be cut-off passwords that
    masking does not find. The message names the fields.
    """
    if failure.reason is not Reason.INVALID_CONFIGURATION:
        traceback.print_exc()
    return failure


def explain_import_failure(error: ImportError, what: str) -> RunError:
    """Return the failure of an import: a dependency is not in this image."""
    return RunError(
        Reason.MISSING_PLUGIN,
        f"this image lacks a package for {what} ({_text(error)}): build it with the extra that includes it",
    )


def unknown_source_type(source_type: str) -> RunError:
    """Return the failure of a connection of an unknown type."""
    return RunError(
        Reason.UNKNOWN_SOURCE_TYPE,
        f"this image's openmetadata-ingestion does not know the source type {source_type!r}",
    )


def _invalid(error: BaseException) -> RunError:
    validation = next((link for link in _chain(error) if hasattr(link, "errors") and hasattr(link, "title")), None)
    if validation is None:
        return RunError(Reason.INVALID_CONFIGURATION, _text(error))
    return RunError(Reason.INVALID_CONFIGURATION, _fields(validation))


def _fields(validation: Any) -> str:
    # Without the values: an invalid value of a connection may be its password.
    problems = [
        f"{'.'.join(_plain(part) for part in problem['loc']) or 'document'}: {problem['msg']}"
        for problem in validation.errors(include_url=False, include_input=False, include_context=False)
    ]
    named = "; ".join(problems[:_FIELDS_NAMED])
    more = len(problems) - _FIELDS_NAMED
    ending = f"; and {more} more" if more > 0 else ""
    return cut(f"invalid {validation.title}: {named}{ending}", _MESSAGE_CHARACTERS)


def _plain(part: str | int) -> str:
    """Return a part of a location; a model in a validator has the name of the model."""
    return _WRAPPED_MODEL.sub(r"\1", str(part))


def _missing_plugin(error: BaseException) -> RunError:
    plugin = getattr(error, "plugin", None)
    if not plugin:
        return RunError(Reason.MISSING_PLUGIN, f"this image lacks a package that the source needs: {_text(error)}")
    return _missing_connector(plugin)


def _failed_import(error: BaseException) -> RunError:
    # A connection test of a connector with missing packages: the library finally tries another module, and its message
    # names that one. The name of the first module has the connector.
    before, _, rest = str(getattr(error, "module", "")).partition("metadata.ingestion.source.")
    connector = rest.split(".")[1:2]
    if before or not connector:
        return RunError(Reason.MISSING_PLUGIN, f"this image lacks a required package: {_text(error)}")
    return _missing_connector(connector[0])


def _missing_connector(name: str) -> RunError:
    return RunError(
        Reason.MISSING_PLUGIN,
        f"this image lacks the connector {name!r}: build it with EXTRAS that include the "
        f"openmetadata-ingestion extra for it",
    )


def _version_mismatch(error: BaseException) -> RunError:
    fix = "set spec.server.version to the server's, for which the operator's settings need an image"
    return RunError(Reason.VERSION_MISMATCH, f"{_text(error).rstrip('.')}: {fix}")


def _because(reason: Reason) -> Callable[[BaseException], RunError]:
    return lambda error: RunError(reason, _text(error))


_EXPLANATIONS: dict[str, Callable[[BaseException], RunError]] = {
    "ParsingConfigurationError": _invalid,
    "InvalidWorkflowException": _invalid,
    "ConfigurationError": _invalid,
    "ValidationError": _invalid,
    "InvalidAppConfiguration": _invalid,
    "MissingPluginException": _missing_plugin,
    "DynamicImportException": _failed_import,
    "ModuleNotFoundError": _missing_plugin,
    "VersionMismatchException": _version_mismatch,
    "VersionNotFoundException": _because(Reason.SERVER_ERROR),
    "HtmlResponseError": _because(Reason.SERVER_ERROR),
    "RestTransportError": _because(Reason.SERVER_UNREACHABLE),
    "InvalidWorkflowJSONException": _because(Reason.SERVICE_NOT_FOUND),
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _text(error: BaseException) -> str:
    return _shortened(str(error)) or type(error).__name__


def _shortened(text: str) -> str:
    return cut(one_line(text), _MESSAGE_CHARACTERS)
