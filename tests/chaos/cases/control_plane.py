"""Parts of Kubernetes itself are away."""

from typing import Final

from tests.chaos import application
from tests.chaos.faults import api_server_away, freeze_etcd, kubelet_away, restart_api_server
from tests.chaos.observer import Seen
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.stage import NODE_LOST_LIMIT
from tests.chaos.verdict import Expected
from tests.support.waiting import wait_for

_ETCD_SECONDS: Final = 30
_LOST: Final = ("failed", "NodeLost")
_LONGER_THAN_ANY_PATIENCE: Final = 105
"""Seconds: Kubernetes takes 50 to give the node up, and nodeLostLimit follows."""

_SUCCESS: Final = Expected("success", ("Succeeded",), log=application.LAST_WORDS)


def restarted(scene: Scene) -> None:
    run = scene.start(scene.application(seconds=15))
    scene.wait_until_running(run)
    restart_api_server(scene)


def watches_cut(scene: Scene) -> None:
    """The run ends while nobody can see it."""
    run = scene.start(scene.application(seconds=5))
    scene.wait_until_running(run)
    with api_server_away(scene):
        _wait_for_the_workflow(scene, run)


def etcd_frozen(scene: Scene) -> None:
    run = scene.start(scene.application(seconds=5))
    scene.wait_until_running(run)
    freeze_etcd(scene, _ETCD_SECONDS)


def kubelet_stopped(scene: Scene) -> None:
    """The run ends, tells the server, and nobody tells Kubernetes."""
    run = scene.start(scene.application(seconds=5))
    scene.wait_until_running(run)
    with kubelet_away(scene):
        _wait_for_the_workflow(scene, run)
        bed = scene.stage.bed
        bed.kubectl("wait", "--for=condition=Ready=Unknown", "node", "--all", "--timeout=120s", timeout=130)
        scene.stage.observer.wait("the status to say so", _is_on_a_lost_node, run, timeout=30)


def node_lost(scene: Scene) -> None:
    """The run works on, unheard, until after it was given up; it tells the server of its end, and later Kubernetes."""
    run = scene.start(scene.application(seconds=_LONGER_THAN_ANY_PATIENCE))
    scene.wait_until_running(run)
    with kubelet_away(scene):
        observer = scene.stage.observer
        observer.wait("the bound", lambda seen: _LOST in seen.ends, run, timeout=150)
        wait_for("the operator's row", lambda: scene.row(run).get("state") == "failed", timeout=30)
        _wait_for_the_workflow(scene, run, timeout=150)
    observer.wait("the correction", lambda seen: (seen.record or {}).get("state") == "success", run, timeout=60)


def _is_on_a_lost_node(seen: Seen) -> bool:
    record = seen.record or {}
    return (record.get("state"), record.get("reason")) == ("running", "NodeLost")


def _wait_for_the_workflow(scene: Scene, run: str, *, timeout: float = 60) -> None:
    wait_for("the workflow's last word", lambda: scene.row(run).get("state") == "success", timeout=timeout)


CONTROL_PLANE: Final = (
    Row(
        "api-server-restarted",
        "the API server is restarted while the run works",
        restarted,
        _SUCCESS,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "watches-cut",
        "the API server is killed while the run works, and back after its end",
        watches_cut,
        _SUCCESS,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "etcd-away",
        f"etcd stands still for {_ETCD_SECONDS} s, in which the run ends",
        etcd_frozen,
        _SUCCESS,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "node-not-ready",
        "the kubelet is stopped while the run works, until the node is NotReady and the run has ended",
        kubelet_stopped,
        _SUCCESS,
        is_alone=True,
        is_timed=False,
    ),
    Row(
        "node-lost",
        f"the kubelet is stopped for longer than nodeLostLimit {NODE_LOST_LIMIT}, and back after the run's own end",
        node_lost,
        # The kubelet removes the pod of a run that was given up as soon as it is back: the last lines may go with it.
        Expected("success", ("Succeeded",), most_rows=2, log=application.FIRST_WORDS, corrected=(_LOST,)),
        is_alone=True,
        is_timed=False,
    ),
)
