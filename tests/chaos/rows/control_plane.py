"""Parts of Kubernetes itself are away."""

from typing import Final

from tests.chaos import application
from tests.chaos.faults import api_server_away, freeze_etcd, kubelet_away, restart_api_server
from tests.chaos.observer import Seen
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.verdict import Expected
from tests.support.waiting import wait_for

_ETCD_SECONDS: Final = 30
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


def _is_on_a_lost_node(seen: Seen) -> bool:
    record = seen.record or {}
    return (record.get("state"), record.get("reason")) == ("running", "NodeLost")


def _wait_for_the_workflow(scene: Scene, run: str) -> None:
    wait_for("the workflow's last word", lambda: scene.row(run).get("state") == "success", timeout=60)


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
)
