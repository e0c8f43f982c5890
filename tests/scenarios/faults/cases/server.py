"""OpenMetadata is away, refuses the token, or is of another version."""

import time
from typing import Final

from testing import installation as installations
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.faults import server_away, server_version
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import SUCCESS, Expected

_USUAL_VERSION: Final = "2.0.6"
_OTHER_VERSION: Final = "1.13.0"
_SHORT_SECONDS: Final = 5


def away_at_start(trial: Trial) -> None:
    pipeline = trial.application()
    with server_away(trial):
        trial.wait_until_recorded(trial.start(pipeline))
        _wait_for_pending_report(trial, pipeline)


def away_in_the_middle(trial: Trial) -> None:
    run = trial.start(trial.application(seconds=2 * _SHORT_SECONDS))
    trial.wait_until_running(run)
    with server_away(trial):
        time.sleep(_SHORT_SECONDS)  # the length of the fault, nothing is waited for


def away_at_the_end(trial: Trial) -> None:
    pipeline = trial.application(seconds=_SHORT_SECONDS)
    run = trial.start(pipeline)
    trial.wait_until_running(run)
    with server_away(trial):
        trial.wait_until_recorded(run)
        _wait_for_pending_report(trial, pipeline)


def wrong_token(trial: Trial) -> None:
    """The Secret is corrected once the status has named it."""
    reference = {"name": f"{trial.name}-bot", "key": "token"}
    trial.installation.apply(installations.secret(reference["name"], "token", "not-the-token"))
    server = installations.pipeline("any")["spec"]["server"] | {"tokenSecretRef": reference}
    pipeline = trial.metadata(server=server)
    trial.wait_until_recorded(trial.start(pipeline))
    message = _wait_for_pending_report(trial, pipeline)
    assert reference["name"] in message, message
    trial.installation.apply(installations.secret(reference["name"], "token", trial.installation.credentials.token))
    trial.recovered()


def version_mismatch(trial: Trial) -> None:
    with server_version(trial, _OTHER_VERSION, usual=_USUAL_VERSION):
        trial.wait_until_recorded(trial.start(trial.application(retry={"limit": 3})))


def _wait_for_pending_report(trial: Trial, pipeline: str) -> str:
    """Return the message of the condition Reported."""

    def message() -> str:
        condition = trial.installation.condition(pipeline, "Reported")
        is_pending = (condition.get("status"), condition.get("reason")) == ("False", "ReportPending")
        return str(condition["message"]) if is_pending else ""

    return wait_for("the condition Reported to be False", message, timeout=30)


SERVER: Final = (
    Case(
        "wrong-token",
        "the token is wrong, and corrected once the status names it",
        wrong_token,
        Expected("failed", ("Unauthorized",), ("operator",), message="token", log="[runner] failed (Unauthorized)"),
        is_timed=False,
    ),
    Case(
        "version-mismatch",
        f"the server is {_OTHER_VERSION}, the image for 2.0; retry.limit 3",
        version_mismatch,
        Expected("failed", ("VersionMismatch",), ("runner",), message=_OTHER_VERSION, log=_OTHER_VERSION),
        place="exclusive",
    ),
    Case(
        "server-away-at-start",
        "OpenMetadata is away from before the start until the end is recorded",
        away_at_start,
        Expected("failed", ("ServerUnreachable",), ("operator",), log="[runner] failed (ServerUnreachable)"),
        place="exclusive",
        is_timed=False,
        about_seconds=80,
    ),
    Case(
        "server-away-in-the-middle",
        f"OpenMetadata is away for {_SHORT_SECONDS} s while the run works",
        away_in_the_middle,
        SUCCESS,
        place="exclusive",
        about_seconds=80,
    ),
    Case(
        "server-away-at-the-end",
        "OpenMetadata is away from the middle of the run until its end is recorded",
        away_at_the_end,
        Expected("success", ("Succeeded",), ("operator",), log=application.LAST_WORDS),
        place="exclusive",
        is_timed=False,
        about_seconds=80,
    ),
)
