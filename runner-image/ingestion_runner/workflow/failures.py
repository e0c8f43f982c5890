"""Why a workflow could not be started, told from the library's exceptions.

They are recognized by name along the chain of causes: the names are the same in the library's versions 1.12
to 2.0, while importing them would tie this module to where each version keeps them.
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
# Before 2.0 a test of a connection whose connector cannot be imported ends so, once the library has logged why.
_LACKING_CONNECTOR = re.compile(
    r"module 'metadata\.ingestion\.source\.\w+\.(\w+)\.connection' has no attribute 'test_connection'"
)


class StartLog(logging.Handler):
    """The log messages while a workflow is being created.

    The library logs why a check of the connection failed; its exception only names the check.
    """

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)

    @classmethod
    @contextlib.contextmanager
    def of_the_library(cls) -> Iterator["StartLog"]:
        """One that hears the library until the block ends."""
        log = cls()
        library = logging.getLogger("metadata")
        library.addHandler(log)
        try:
            yield log
        finally:
            library.removeHandler(log)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        # A record whose arguments do not fit its format is the library's affair and must not fail its run.
        with contextlib.suppress(TypeError, ValueError):
            self._messages.append(record.getMessage())

    def about(self, check: str) -> str | None:
        """The last message that begins with the name of a check."""
        return next((message for message in reversed(self._messages) if message.startswith(check)), None)


def explain_start_failure(error: BaseException, log: StartLog, ask_server: Callable[[], object]) -> RunError:
    """The typed reason behind an exception of ``create``.

    ``ask_server`` makes one authenticated call and raises RunError if that is what fails: with a wrong token
    the library ends in an unrelated error.
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
        ask_server()
    except RunError as failure:
        return failure
    return RunError(Reason.INITIALIZATION_FAILED, _text(error))


def logged(failure: RunError) -> RunError:
    """The failure, once the traceback of the exception that is being handled stands in the log.

    That of a wrong configuration does not: it quotes values, shortened in the middle of what may be a
    password, and the message names the fields.
    """
    if failure.reason is not Reason.INVALID_CONFIGURATION:
        traceback.print_exc()
    return failure


def explain_import_failure(error: ImportError, what: str) -> RunError:
    """A class that cannot be imported: one of its dependencies is not in this image."""
    return RunError(
        Reason.MISSING_PLUGIN,
        f"this image lacks what {what} need ({_text(error)}): build it with the extra that brings it",
    )


def unknown_source_type(source_type: str) -> RunError:
    """A connection whose type the image's library does not know."""
    return RunError(
        Reason.UNKNOWN_SOURCE_TYPE,
        f"this image's openmetadata-ingestion knows no source of type {source_type!r}",
    )


def _invalid(error: BaseException) -> RunError:
    validation = next((link for link in _chain(error) if hasattr(link, "errors") and hasattr(link, "title")), None)
    if validation is None:
        return RunError(Reason.INVALID_CONFIGURATION, _text(error))
    return RunError(Reason.INVALID_CONFIGURATION, _fields(validation))


def _fields(validation: Any) -> str:
    # Not the values: the wrong value of a connection may be its password.
    problems = [
        f"{'.'.join(_plain(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"
        for problem in validation.errors(include_url=False, include_input=False, include_context=False)
    ]
    named = "; ".join(problems[:_FIELDS_NAMED])
    more = len(problems) - _FIELDS_NAMED
    ending = f"; and {more} more" if more > 0 else ""
    return cut(f"invalid {validation.title}: {named}{ending}", _MESSAGE_CHARACTERS)


def _plain(part: str | int) -> str:
    """A part of a location; a model that is wrapped in a validator is called by its own name."""
    return _WRAPPED_MODEL.sub(r"\1", str(part))


def _missing_plugin(error: BaseException) -> RunError:
    plugin = getattr(error, "plugin", None)
    if not plugin:
        return RunError(Reason.MISSING_PLUGIN, f"this image lacks a package that the source needs: {_text(error)}")
    return _missing_connector(plugin)


def _failed_import(error: BaseException) -> RunError:
    # A connection test of a connector whose packages are missing: the library looks for the connector in
    # another place in the end, and its message is about that. The module's name tells which one it is.
    before, _, rest = str(getattr(error, "module", "")).partition("metadata.ingestion.source.")
    connector = rest.split(".")[1:2]
    if before or not connector:
        return RunError(Reason.MISSING_PLUGIN, f"this image lacks what is needed: {_text(error)}")
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
