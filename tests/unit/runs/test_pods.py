import json

import pytest

from ingestion_operator.runs.pods import read_pod
from testing.objects import Body, pod

OUTCOME = json.dumps({"version": 1, "state": "failed", "reason": "WorkflowFailed"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            pod(exit_code=137, status_reason="Evicted", disrupted="X", terminated_reason="OOMKilled", message=OUTCOME),
            "Evicted",
        ),
        (pod(exit_code=137, disrupted="PreemptionByScheduler", terminated_reason="OOMKilled"), "PreemptionByScheduler"),
        (pod(exit_code=137, terminated_reason="OOMKilled", message=OUTCOME), "OutOfMemory"),
        (pod(exit_code=1, message=OUTCOME), "WorkflowFailed"),
        (pod(exit_code=1, message="no account"), "Error"),
        (pod(exit_code=1, terminated_reason="ContainerCannotRun"), "ContainerCannotRun"),
        (pod(exit_code=0), "Completed"),
        (pod(running=True), None),
        (pod(), None),
    ],
)
def test_the_kubelets_reason_goes_before_the_runners(body: Body, reason: str | None) -> None:
    assert read_pod(body).attempt.reason == reason


def test_a_pod_that_the_kubelet_has_not_seen_yet_waits() -> None:
    body = pod()
    del body["status"], body["spec"]
    read = read_pod(body)
    assert (read.is_running, read.is_finished, read.waiting_reason, read.attempt.node) == (
        False,
        False,
        "Pending",
        None,
    )


def test_only_the_runners_container_counts() -> None:
    body = pod()
    body["status"]["containerStatuses"] = [{"name": "sidecar", "state": {"terminated": {"exitCode": 1}}}]
    assert not read_pod(body).is_finished


def _with_sidecars(*states: Body) -> Body:
    body = pod(waiting=("PodInitializing", ""))
    names = [f"proxy-{number}" for number in range(len(states))]
    body["spec"]["initContainers"] = [{"name": name, "restartPolicy": "Always"} for name in names]
    body["status"]["initContainerStatuses"] = [{"name": n} | state for n, state in zip(names, states, strict=True)]
    return body


UP = {"state": {"running": {}}, "started": True}
NOT_UP = {"state": {"running": {}}, "started": False}
NO_IMAGE = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
INITIALIZING = {"state": {"waiting": {"reason": "PodInitializing"}}}


@pytest.mark.parametrize(
    ("states", "reason", "message"),
    [
        ([NO_IMAGE], "ImagePullBackOff", "not found"),
        ([UP, NO_IMAGE], "ImagePullBackOff", "not found"),
        ([NOT_UP, INITIALIZING], "SidecarNotStarted", "proxy-0"),
        ([UP, NOT_UP], "SidecarNotStarted", "proxy-1"),
        ([INITIALIZING, INITIALIZING], "PodInitializing", ""),
        ([UP, UP], "PodInitializing", ""),
    ],
)
def test_a_pod_waits_for_the_first_sidecar_that_is_not_up(states: list[Body], reason: str, message: str) -> None:
    read = read_pod(_with_sidecars(*states))
    assert (read.waiting_reason, read.waiting_message) == (reason, message)


def test_an_injected_first_container_is_not_a_sidecar() -> None:
    body = _with_sidecars(NOT_UP)
    del body["spec"]["initContainers"][0]["restartPolicy"]
    assert read_pod(body).waiting_reason == "PodInitializing"


def test_a_sidecar_beside_a_running_runner_is_not_a_cause() -> None:
    body = _with_sidecars(NO_IMAGE)
    body["status"]["containerStatuses"] = pod(running=True)["status"]["containerStatuses"]
    assert read_pod(body).waiting_reason == "Pending"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_phase_ends_an_attempt(phase: str) -> None:
    assert read_pod(pod(phase=phase)).is_finished
