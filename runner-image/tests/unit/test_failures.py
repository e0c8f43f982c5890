import logging

import pytest

from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.workflow.failures import StartLog, explain_import_failure, explain_start_failure, logged


def raised(name: str, text: str, cause: BaseException | None = None) -> BaseException:
    """An exception of the library's, known by its name."""
    error: BaseException = type(name, (Exception,), {})(text)
    error.__cause__ = cause
    return error


def explained(error: BaseException, log: StartLog | None = None) -> RunError:
    return explain_start_failure(error, log or StartLog(), check_server=lambda: None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ParsingConfigurationError", Reason.INVALID_CONFIGURATION),
        ("InvalidWorkflowException", Reason.INVALID_CONFIGURATION),
        ("MissingPluginException", Reason.MISSING_PLUGIN),
        ("DynamicImportException", Reason.MISSING_PLUGIN),
        ("ModuleNotFoundError", Reason.MISSING_PLUGIN),
        ("InvalidAppConfiguration", Reason.INVALID_CONFIGURATION),
        ("VersionMismatchException", Reason.VERSION_MISMATCH),
        ("RestTransportError", Reason.SERVER_UNREACHABLE),
        ("HtmlResponseError", Reason.SERVER_ERROR),
        ("InvalidWorkflowJSONException", Reason.SERVICE_NOT_FOUND),
        ("KeyError", Reason.INITIALIZATION_FAILED),
    ],
)
def test_start_failure_is_known_by_the_name_of_the_exception(name: str, reason: Reason) -> None:
    assert explained(raised(name, "what happened")).reason is reason


def test_start_failure_is_known_by_the_exceptions_cause() -> None:
    cause = raised("VersionMismatchException", "Server version is 2.1.0")

    failure = explained(raised("OMetaClientInitError", "Could not initialize", cause))

    assert failure.reason is Reason.VERSION_MISMATCH
    assert failure.message.startswith("Server version is 2.1.0: set spec.server.version to the server's")


def test_an_unexplained_start_failure_may_be_the_servers() -> None:
    def refuse() -> None:
        raise RunError(Reason.UNAUTHORIZED, "401")

    assert explain_start_failure(AttributeError("config"), StartLog(), refuse).reason is Reason.UNAUTHORIZED


def test_start_failure_of_a_connection_check_has_its_error() -> None:
    log = StartLog()
    for message in (
        "GetTables: Skipped",
        "CheckAccess: Failed - password\nauthentication failed",
        "Test connection",
    ):
        log.emit(logging.LogRecord("metadata", logging.INFO, "", 0, "%s", (message,), None))

    failure = explained(raised("SourceConnectionException", "Failed to run the test connection step: CheckAccess"), log)

    assert failure.reason is Reason.INITIALIZATION_FAILED
    assert failure.message == "CheckAccess: Failed - password authentication failed"


def test_start_log_survives_a_malformed_record() -> None:
    log = StartLog()

    log.emit(logging.LogRecord("metadata", logging.INFO, "", 0, "%d", ("text",), None))

    assert log.about("text") is None


def test_start_failure_names_the_missing_extra() -> None:
    error = raised("MissingPluginException", "")
    error.plugin = "snowflake"  # type: ignore[attr-defined]

    assert "'snowflake'" in explained(error).message


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("metadata.ingestion.source.database.snowflake.connection", "lacks the connector 'snowflake'"),
        ("shop.connectors.warehouse", "cannot import it"),
        ("metadata.ingestion.source", "cannot import it"),
    ],
)
def test_start_failure_names_the_missing_connector(module: str, words: str) -> None:
    error = raised("DynamicImportException", "cannot import it")
    error.module = module  # type: ignore[attr-defined]

    failure = explained(error)

    assert failure.reason is Reason.MISSING_PLUGIN
    assert words in failure.message


@pytest.mark.parametrize(
    ("reason", "in_the_log"), [(Reason.INVALID_CONFIGURATION, False), (Reason.INITIALIZATION_FAILED, True)]
)
def test_traceback_of_a_wrong_configuration_stays_out_of_the_log(
    capsys: pytest.CaptureFixture[str], *, reason: Reason, in_the_log: bool
) -> None:
    try:
        int("a value")
    except ValueError:
        logged(RunError(reason, "the fields"))

    assert ("ValueError" in capsys.readouterr().err) is in_the_log


def test_invalid_configuration_calls_a_wrapped_model_by_its_name() -> None:
    class ValidationError(Exception):
        title = "Workflow"

        def errors(self, **_: object) -> list[dict[str, object]]:
            return [{"loc": ("request", "function-after[parse_name(), TestRequest]", 0), "msg": "Field required"}]

    assert explained(ValidationError()).message == "invalid Workflow: request.TestRequest.0: Field required"


def test_invalid_configuration_names_fields_and_not_values() -> None:
    class ValidationError(Exception):
        title = "PostgresConnection"

        def errors(self, **_: object) -> list[dict[str, object]]:
            return [{"loc": ("authType", "password"), "msg": "Input should be a valid string"}]

    parsing = raised("ParsingConfigurationError", "We encountered an error")
    parsing.__context__ = ValidationError()

    assert explained(parsing).message == "invalid PostgresConnection: authType.password: Input should be a valid string"


def test_import_failure_is_a_missing_extra() -> None:
    failure = explain_import_failure(ModuleNotFoundError("No module named 'presidio_analyzer'"), "these pipelines")

    assert failure.reason is Reason.MISSING_PLUGIN
    assert "presidio_analyzer" in failure.message


def test_an_unimportable_connector_is_a_missing_plugin() -> None:
    module = "metadata.ingestion.source.database.snowflake.connection"

    failure = explained(AttributeError(f"module '{module}' has no attribute 'test_connection'"))

    assert failure.reason is Reason.MISSING_PLUGIN
    assert "'snowflake'" in failure.message
    other = explained(AttributeError(f"module '{module}' has no attribute 'anything'"))
    assert other.reason is Reason.INITIALIZATION_FAILED
