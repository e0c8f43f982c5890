"""The operator is killed, away, or wrong about the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.controllers.heartbeat import DURATION_SECONDS
from tests.chaos import application
from tests.chaos.faults import kill_operator, operator_away, operator_clock_off
from tests.chaos.observer import Seen
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.stage import PENDING_LIMIT
from tests.chaos.verdict import Expected
from tests.support.site import Site

_TELLS_IT_ITSELF: Final = Expected("success", ("Succeeded",), log=application.LAST_WORDS)
_UNTOLD: Final = Expected("failed", ("OutOfMemory",), ("operator",), message="OutOfMemory")
"""An end that nobody but the operator can tell the server."""
_GIVEN_UP: Final = Expected("failed", ("Unschedulable",), ("operator",), message="No pod of the run started within")
_KILLED: Final = Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="Stopped on request")
_CLOCK_OFF: Final = timedelta(minutes=5)


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


def clock_ahead(scene: Scene) -> None:
    _clock_off(scene, _CLOCK_OFF)


def clock_behind(scene: Scene) -> None:
    _clock_off(scene, -_CLOCK_OFF)


def _clock_off(scene: Scene, by: timedelta) -> None:
    """Everything in which a time is compared with one of Kubernetes': waiting, giving up, a queue, a kill, a report."""
    site = scene.stage.site
    label = f"{scene.name}-room"
    waits = scene.application(suffix="-waits", podTemplate={"spec": {"nodeSelector": {label: "yes"}}})
    never = scene.application(suffix="-never", podTemplate={"spec": {"nodeSelector": {"nobody": "has-it"}}})
    untold = _too_small(scene, suffix="-untold")
    endless = scene.application(seconds=600, suffix="-killed")
    turns = scene.application(seconds=1, suffix="-turns")
    site.kubectl("label", "node", "--all", f"{label}-")  # an earlier play has left it
    with operator_clock_off(scene, by):
        held_up = scene.start(waits)
        given_up = scene.start(never, _GIVEN_UP)
        killed = scene.start(endless, _KILLED)
        for run in (held_up, given_up):
            scene.stage.observer.wait("the cause", _is_unschedulable, run, timeout=60)
        site.kubectl("label", "node", "--all", f"{label}=yes")
        scene.wait_until_running(killed)
        asked_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        site.kubectl("annotate", "omip", endless, f"{constants.ANNOTATION_KILL}={asked_at}")
        others = [scene.start(untold, _UNTOLD), scene.start_by_client(turns), scene.start_by_client(turns)]
        for run in (held_up, given_up, killed, *others):
            scene.wait_until_recorded(run)
        waited = scene.stage.observer.seen(given_up)
        assert waited.recorded_at is not None
        limit, took = int(PENDING_LIMIT[:-1]), waited.recorded_at - _created_at(waited)
        # The API server's time is known to five seconds.
        assert limit - 5 <= took <= limit + 15, f"given up after {took:.0f} s with pendingLimit {PENDING_LIMIT}"
        off = abs(time.time() - _lease_time(site))
        assert off < DURATION_SECONDS, f"the operator's sign of life is {off:.0f} s off"


def _is_unschedulable(seen: Seen) -> bool:
    return (seen.record or {}).get("reason") == "Unschedulable"


def _created_at(seen: Seen) -> float:
    """Return when a run's Job was made, in seconds since 1970."""
    return datetime.fromisoformat(str((seen.record or {})["startTime"])).timestamp()


def _lease_time(site: Site) -> float:
    """Return when the operator says it renewed its Lease last."""
    lease = site.get("lease", constants.LEASE_NAME)
    assert lease is not None
    return datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()


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
    *(
        Row(
            f"clock-{word}",
            f"the operator's clock is 5 minutes {word}: runs that wait for a node, are given up, killed, queued, "
            "out of memory",
            act,
            _TELLS_IT_ITSELF,
            is_alone=True,
            is_timed=False,
        )
        for word, act in (("ahead", clock_ahead), ("behind", clock_behind))
    ),
)
