"""Parts of Kubernetes itself are away."""

from typing import Final

from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.faults import api_server_away, freeze_etcd, kubelet_away, restart_api_server
from tests.scenarios.faults.observer import Seen
from tests.scenarios.faults.target import NODE_LOST_LIMIT
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_ETCD_SECONDS: Final = 30
_LOST: Final = ("failed", "NodeLost")
_LONGER_THAN_ANY_PATIENCE: Final = 105
"""Seconds: Kubernetes takes 50 until the node is NotReady, and nodeLostTimeout follows."""

_SUCCESS: Final = Expected("success", ("Succeeded",), log=application.LAST_WORDS)


def restarted(trial: Trial) -> None:
    run = trial.start(trial.application(seconds=15))
    trial.wait_until_running(run)
    restart_api_server(trial)


def watches_cut(trial: Trial) -> None:
    """The run ends while no watch can show it."""
    run = trial.start(trial.application(seconds=5))
    trial.wait_until_running(run)
    with api_server_away(trial):
        _wait_for_the_workflow(trial, run)


def etcd_frozen(trial: Trial) -> None:
    run = trial.start(trial.application(seconds=5))
    trial.wait_until_running(run)
    freeze_etcd(trial, _ETCD_SECONDS)


def kubelet_stopped(trial: Trial) -> None:
    """The run ends and reports to the server, and Kubernetes does not learn of it."""
    run = trial.start(trial.application(seconds=5))
    trial.wait_until_running(run)
    with kubelet_away(trial):
        _wait_for_the_workflow(trial, run)
        cluster = trial.target.cluster
        cluster.kubectl("wait", "--for=condition=Ready=Unknown", "node", "--all", "--timeout=120s", timeout=130)
        trial.target.observer.wait("the status to show it", _is_on_a_lost_node, run, timeout=30)


def node_lost(trial: Trial) -> None:
    """The run works on without a kubelet beyond its recorded end; it reports its own end, and Kubernetes follows."""
    run = trial.start(trial.application(seconds=_LONGER_THAN_ANY_PATIENCE))
    trial.wait_until_running(run)
    with kubelet_away(trial):
        observer = trial.target.observer
        observer.wait("the bound", lambda seen: _LOST in seen.ends, run, timeout=150)
        wait_for("the operator's row", lambda: trial.row(run).get("state") == "failed", timeout=30)
        _wait_for_the_workflow(trial, run, timeout=150)
    observer.wait("the correction", lambda seen: (seen.record or {}).get("state") == "success", run, timeout=60)


def _is_on_a_lost_node(seen: Seen) -> bool:
    record = seen.record or {}
    return (record.get("state"), record.get("reason")) == ("running", "NodeLost")


def _wait_for_the_workflow(trial: Trial, run: str, *, timeout: float = 60) -> None:
    wait_for("the workflow's last report", lambda: trial.row(run).get("state") == "success", timeout=timeout)


CONTROL_PLANE: Final = (
    Case(
        "api-server-restarted",
        "the API server is restarted while the run works",
        restarted,
        _SUCCESS,
        place="exclusive",
        is_timed=False,
        about_seconds=100,
    ),
    Case(
        "watches-cut",
        "the API server is killed while the run works, and back after its end",
        watches_cut,
        _SUCCESS,
        place="exclusive",
        is_timed=False,
        about_seconds=120,
    ),
    Case(
        "etcd-away",
        f"etcd stands still for {_ETCD_SECONDS} s, in which the run ends",
        etcd_frozen,
        _SUCCESS,
        place="exclusive",
        is_timed=False,
        about_seconds=110,
    ),
    Case(
        "node-not-ready",
        "the kubelet is stopped while the run works, until the node is NotReady and the run has ended",
        kubelet_stopped,
        _SUCCESS,
        place="exclusive",
        is_timed=False,
        about_seconds=170,
    ),
    Case(
        "node-lost",
        f"the kubelet is stopped for longer than nodeLostTimeout {NODE_LOST_LIMIT}, and back after the run's own end",
        node_lost,
        # The kubelet, once back, removes the pod of a run that was ended without it: the last lines may go with it.
        Expected("success", ("Succeeded",), most_rows=2, log=application.FIRST_WORDS, corrected=(_LOST,)),
        place="exclusive",
        is_timed=False,
        about_seconds=280,
    ),
)
