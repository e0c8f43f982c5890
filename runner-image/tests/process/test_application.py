"""An application's pod, as far as it gets without the library."""

from typing import Any

import pytest

from runner_testing.pod import RUN_ID, Pod, pipeline_document
from runner_testing.server import RecordingServer

PARENT = "runner_testing.parent"
SECRET = "s3cr3t-of-the-application"


def mount_application(pod: Pod, server: RecordingServer, config: dict[str, Any], **changes: Any) -> None:
    document = {"pipelineType": "application", "service": None, "sourceConfig": {"config": config}, **changes}
    pod.mount(pipeline_document(server.host_port, **document))


def test_application_of_a_pipeline_has_a_row(pod: Pod, server: RecordingServer) -> None:
    mount_application(pod, server, {"sourcePythonClass": "shop.apps.Sweeper"})

    with pod.start(PARENT, "succeed") as parent:
        assert parent.wait() == 0

    assert parent.summary()["reportedBy"] == "runner"
    assert server.rows[RUN_ID]["pipelineState"] == "success"


@pytest.mark.parametrize(("behaviour", "exit_code"), [("succeed", 0), ("fail_to_start", 1)])
def test_application_without_a_pipeline_is_not_reported(
    pod: Pod, server: RecordingServer, behaviour: str, exit_code: int
) -> None:
    mount_application(pod, server, {"sourcePythonClass": "shop.apps.Sweeper"}, fullyQualifiedName=None)

    with pod.start(PARENT, behaviour) as parent:
        assert parent.wait() == exit_code

    assert parent.summary()["reportedBy"] == "none"
    assert server.requests == []
    # Two lines: the memory and the outcome.
    said = [line for line in parent.log.splitlines() if "[runner]" in line]
    assert ["MiB of memory" in line for line in said] == [True, False]


@pytest.mark.parametrize("python_class", [None, "Sweeper", ".Sweeper", 7])
def test_application_without_a_usable_class_is_refused_early(
    pod: Pod, server: RecordingServer, *, python_class: object
) -> None:
    mount_application(pod, server, {"type": "Application", "sourcePythonClass": python_class})

    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert (exit_code, parent.summary()["reason"]) == (2, "InvalidConfiguration")
    assert "sourceConfig.config.sourcePythonClass" in parent.summary()["message"]
    assert repr(python_class) in parent.summary()["message"]


def test_values_of_the_private_configuration_are_not_logged(pod: Pod, server: RecordingServer) -> None:
    """The class's name repeats a private value here, only so that the message would show it."""
    private = {"account": SECRET}
    mount_application(pod, server, {"sourcePythonClass": f".{SECRET}", "appPrivateConfig": private})

    with pod.start("ingestion_runner") as parent:
        parent.wait()

    assert "sourcePythonClass" in parent.log
    assert SECRET not in parent.log + str(parent.summary()) + str(server.rows)
