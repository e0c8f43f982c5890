"""OpenMetadata is away, refuses the token, or is of another version."""

import time
from typing import Final

from tests.chaos import application
from tests.chaos.faults import server_away, server_version
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.verdict import SUCCESS, Expected
from tests.support import site as sites
from tests.support.waiting import wait_for

_USUAL_VERSION: Final = "2.0.6"
_OTHER_VERSION: Final = "1.13.0"
_SHORT_SECONDS: Final = 5


def away_at_start(scene: Scene) -> None:
    pipeline = scene.application()
    with server_away(scene):
        scene.wait_until_recorded(scene.start(pipeline))
        _wait_for_pending_report(scene, pipeline)


def away_in_the_middle(scene: Scene) -> None:
    run = scene.start(scene.application(seconds=2 * _SHORT_SECONDS))
    scene.wait_until_running(run)
    with server_away(scene):
        time.sleep(_SHORT_SECONDS)  # the length of the fault, nothing is waited for


def away_at_the_end(scene: Scene) -> None:
    pipeline = scene.application(seconds=_SHORT_SECONDS)
    run = scene.start(pipeline)
    scene.wait_until_running(run)
    with server_away(scene):
        scene.wait_until_recorded(run)
        _wait_for_pending_report(scene, pipeline)


def wrong_token(scene: Scene) -> None:
    """The Secret is put right once the status has said that it is wrong."""
    reference = {"name": f"{scene.name}-bot", "key": "token"}
    scene.stage.site.apply(sites.secret(reference["name"], "token", "not-the-token"))
    server = sites.pipeline("any")["spec"]["server"] | {"tokenSecretRef": reference}
    pipeline = scene.metadata(server=server)
    scene.wait_until_recorded(scene.start(pipeline))
    told = _wait_for_pending_report(scene, pipeline)
    assert reference["name"] in told, told
    scene.stage.site.apply(sites.secret(reference["name"], "token", scene.stage.site.credentials.token))
    scene.recovered()


def version_mismatch(scene: Scene) -> None:
    with server_version(scene, _OTHER_VERSION, usual=_USUAL_VERSION):
        scene.wait_until_recorded(scene.start(scene.application(retry={"limit": 3})))


def _wait_for_pending_report(scene: Scene, pipeline: str) -> str:
    """Return the message of the condition that says so."""

    def message() -> str:
        condition = scene.stage.site.condition(pipeline, "Reported")
        is_pending = (condition.get("status"), condition.get("reason")) == ("False", "ReportPending")
        return str(condition["message"]) if is_pending else ""

    return wait_for("the condition Reported to be False", message, timeout=30)


SERVER: Final = (
    Row(
        "wrong-token",
        "the token is wrong, and put right once the status says so",
        wrong_token,
        Expected("failed", ("Unauthorized",), ("operator",), message="token", log="[runner] failed (Unauthorized)"),
        is_timed=False,
    ),
    Row(
        "version-mismatch",
        f"the server is {_OTHER_VERSION}, the image for 2.0; retry.limit 3",
        version_mismatch,
        Expected("failed", ("VersionMismatch",), ("runner",), message=_OTHER_VERSION, log=_OTHER_VERSION),
        is_alone=True,
    ),
    Row(
        "server-away-at-start",
        "OpenMetadata is away from before the start until the end is recorded",
        away_at_start,
        Expected("failed", ("ServerUnreachable",), ("operator",), log="[runner] failed (ServerUnreachable)"),
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "server-away-in-the-middle",
        f"OpenMetadata is away for {_SHORT_SECONDS} s while the run works",
        away_in_the_middle,
        SUCCESS,
        is_alone=True,
    ),
    Row(
        "server-away-at-the-end",
        "OpenMetadata is away from the middle of the run until its end is recorded",
        away_at_the_end,
        Expected("success", ("Succeeded",), ("operator",), log=application.LAST_WORDS),
        is_alone=True,
        is_timed=False,
    ),
)
