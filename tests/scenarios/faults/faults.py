"""The ways to disturb what runs depend on; each ends with everything up again."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from testing.install import OPERATOR, wait_for_rollout
from testing.installation import Installation
from testing.waiting import wait_for
from tests.scenarios.faults.environment import api_server_answers, service_is_reachable
from tests.scenarios.faults.trial import Trial

API_SERVER: Final = "kube-apiserver"
_SELECTOR: Final = f"app.kubernetes.io/name={OPERATOR}"
_CUT: Final = {"path": "^/api/", "status": 0}
_API_SECONDS: Final = 90

_CLOCK_OFF: Final = """
import sys
from datetime import timedelta

from ingestion_operator.adapters.system_clock import SystemClock

right = SystemClock.now
SystemClock.now = lambda clock: right(clock) + timedelta(seconds={seconds})

from ingestion_operator.__main__ import main

sys.exit(main())
"""


@contextmanager
def server_away(trial: Trial) -> Iterator[None]:
    """Let the fake OpenMetadata server cut every connection of pods and operator until the block ends."""
    with trial.target.server_faults.during(_CUT):
        trial.disturbed()
        yield
    trial.recovered()


@contextmanager
def server_version(trial: Trial, version: str, *, usual: str) -> Iterator[None]:
    """Let the fake OpenMetadata server be of another version until the block ends."""
    trial.installation.fake_server.set_version(version)
    try:
        yield
    finally:
        trial.installation.fake_server.set_version(usual)


@contextmanager
def operator_away(trial: Trial) -> Iterator[None]:
    """Have no operator until the block ends."""
    installation = trial.installation
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    try:
        installation.kubectl("wait", "--for=delete", "pod", "-l", _SELECTOR, "--timeout=40s")
        trial.disturbed()
        yield
    finally:
        installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
        wait_for_rollout(installation.cluster, installation.namespace, OPERATOR)
        trial.recovered()


@contextmanager
def operator_clock_off(trial: Trial, by: timedelta) -> Iterator[None]:
    """Let the clock of the operator's machine be wrong until the block ends.

    The processes of one machine share its clock, so the one place where the operator reads it is replaced as its
    program starts; all else is the image's own.
    """
    installation = trial.installation
    command = ["/opt/venv/bin/python", "-c", _CLOCK_OFF.format(seconds=by.total_seconds())]
    _set_command(installation, command)
    trial.disturbed()
    try:
        yield
    finally:
        _set_command(installation, None)
        trial.recovered()


def _set_command(installation: Installation, command: list[str] | None) -> None:
    container = {"name": "operator", "command": command}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    installation.kubectl("patch", f"deployment/{OPERATOR}", "--patch", json.dumps(patch))
    wait_for_rollout(installation.cluster, installation.namespace, OPERATOR)


def kill_operator(trial: Trial) -> None:
    """End the operator without a chance to write anything, and wait for its successor."""
    core, namespace = trial.target.core, trial.installation.namespace

    def operators() -> set[str]:
        pods = core.list_namespaced_pod(namespace, label_selector=_SELECTOR).items
        return {str(pod.metadata.name) for pod in pods if pod.metadata is not None}

    killed = operators()
    assert killed, "no operator runs"
    for name in killed:
        core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    trial.disturbed()
    wait_for("another operator", lambda: operators() - killed, timeout=60)
    wait_for_rollout(trial.target.cluster, namespace, OPERATOR)
    trial.recovered()


def restart_api_server(trial: Trial) -> None:
    """Restart the API server in order, as an upgrade of the control plane does."""
    trial.disturbed()
    trial.target.cluster.restart(API_SERVER)
    _wait_for_api_server(trial)


@contextmanager
def api_server_away(trial: Trial) -> Iterator[None]:
    """Kill the API server, which cuts every watch; start it when the block ends."""
    trial.disturbed()
    trial.target.cluster.stop(API_SERVER, kill=True)
    try:
        yield
    finally:
        trial.target.cluster.start(API_SERVER)
        _wait_for_api_server(trial)


def freeze_etcd(trial: Trial, seconds: float) -> None:
    """Let etcd stand still: the API server serves what it has in memory and can write nothing."""
    trial.disturbed()
    with trial.target.cluster.frozen("etcd"):
        time.sleep(seconds)  # the length of the fault, nothing is waited for
    _wait_for_api_server(trial)


@contextmanager
def kubelet_away(trial: Trial) -> Iterator[None]:
    """Stop the kubelet: containers go on, and their states are not reported."""
    trial.disturbed()
    trial.target.cluster.stop("kubelet")
    try:
        yield
    finally:
        trial.target.cluster.start("kubelet")
        cluster = trial.target.cluster
        cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s", timeout=100)
        wait_for_rollout(cluster, trial.installation.namespace, OPERATOR)
        trial.recovered()


def _wait_for_api_server(trial: Trial) -> None:
    wait_for("the API server", lambda: api_server_answers(trial.target.cluster), timeout=_API_SECONDS)
    wait_for("pods to reach it again", lambda: service_is_reachable(trial.target.cluster), timeout=_API_SECONDS)
    trial.recovered()
