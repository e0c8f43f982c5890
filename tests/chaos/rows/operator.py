"""The operator is killed, or away."""

from typing import Final

from tests.chaos import application
from tests.chaos.faults import kill_operator, operator_away
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.verdict import Expected

_TELLS_IT_ITSELF: Final = Expected("success", ("Succeeded",), log=application.LAST_WORDS)
_UNTOLD: Final = Expected("failed", ("OutOfMemory",), ("operator",), message="OutOfMemory")
"""An end that nobody but the operator can tell the server."""


def killed_before(scene: Scene) -> None:
    run = scene.start(scene.application(seconds=10))
    scene.wait_until_running(run)
    kill_operator(scene)


def killed_during(scene: Scene) -> None:
    """In the moment in which the container has ended, so between any two of the operator's writes."""
    scene.wait_until_ended(scene.start(_too_small(scene)))
    kill_operator(scene)


def killed_after(scene: Scene) -> None:
    """With the end in the status, and the report perhaps on its way."""
    scene.wait_until_recorded(scene.start(_too_small(scene)))
    kill_operator(scene)


def away_for_the_whole_run(scene: Scene) -> None:
    pipelines = [scene.application(), _too_small(scene, suffix="-untold")]
    scene.stage.site.kubectl("wait", "omip", *pipelines, "--for=condition=Ready", "--timeout=30s")
    names = [scene.stage.site.status(pipeline)["cronJobName"] for pipeline in pipelines]
    assert all(names)
    with operator_away(scene):
        for run in (scene.start(pipelines[0]), scene.start(pipelines[1], _UNTOLD)):
            scene.wait_until_ended(run)


def _too_small(scene: Scene, suffix: str = "") -> str:
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    return scene.application(podTemplate={"container": {"resources": memory}}, suffix=suffix)


OPERATOR_ROWS: Final = (
    Row(
        "operator-killed-before",
        "the operator is killed while the run works",
        killed_before,
        _TELLS_IT_ITSELF,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "operator-killed-during",
        "the operator is killed in the moment in which the container has ended, out of memory",
        killed_during,
        _UNTOLD,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "operator-killed-after",
        "the operator is killed in the moment in which the end is in the status, out of memory",
        killed_after,
        _UNTOLD,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "operator-away",
        "no operator from before the start until after the end of two runs, one out of memory",
        away_for_the_whole_run,
        _TELLS_IT_ITSELF,
        is_alone=True,
        is_timed=False,
    ),
)
