"""Applications as a pod runs them: real library, a fake OpenMetadata server."""

from typing import Any

import pytest

from runner_testing.pod import RUN_ID, Pod, pipeline_document
from testing.fake_openmetadata_client import FakeServerClient

pytestmark = pytest.mark.timeout(1500)  # the first one makes the environment

HELLO = "metadata.applications.example.HelloPipelines"
FQN = "OpenMetadata.hello"


def mount(pod: Pod, fake_server: FakeServerClient, *, standalone: bool = False, **config: Any) -> None:
    source_config = {"config": {"type": "Application", "sourcePythonClass": HELLO, **config}}
    fake_server.register_service("OpenMetadata", "OpenMetadata", kind="metadata")
    if not standalone:
        fake_server.register_pipeline(FQN, pipelineType="application", sourceConfig=source_config)
    changes = {
        "pipelineType": "application",
        "fullyQualifiedName": None if standalone else FQN,
        "service": None if standalone else {"type": "metadataService", "name": "OpenMetadata"},
        "sourceConfig": source_config,
    }
    pod.mount(pipeline_document(fake_server.host_port, **changes))


def run(pod: Pod) -> tuple[int, dict[str, Any], str]:
    with pod.start("ingestion_runner") as parent:
        return parent.wait(), parent.summary(), parent.log


def test_an_application_runs_and_reports_its_row(pod: Pod, fake_server: FakeServerClient) -> None:
    mount(pod, fake_server, appConfig={"sleep": 0, "echo": "hello from the pod"})

    exit_code, summary, log = run(pod)

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    assert "hello from the pod" in log
    (row,) = fake_server.runs(FQN)
    assert (row["runId"], row["terminalStates"]) == (RUN_ID, ["success"])
    assert fake_server.calls(invalid=True) == []


def test_an_application_started_on_its_own_has_no_row(pod: Pod, fake_server: FakeServerClient) -> None:
    mount(
        pod,
        fake_server,
        standalone=True,
        appConfig={"sleep": 0, "echo": "hello"},
        appPrivateConfig={"key": "k-1234567"},
    )

    exit_code, summary, log = run(pod)

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "none"), log
    assert fake_server.runs() == []
    assert fake_server.calls(unknown=True) == []
    assert "k-1234567" not in log


@pytest.mark.parametrize(
    ("python_class", "words"),
    [
        ("metadata.applications.nowhere.HelloPipelines", "is not in this image"),
        ("metadata.applications.example.Nothing", "has no 'Nothing'"),
        ("metadata.workflow.metadata.MetadataWorkflow", "is not an application"),
    ],
)
def test_a_wrong_class_is_a_configuration_error_that_names_it(
    pod: Pod, fake_server: FakeServerClient, *, python_class: str, words: str
) -> None:
    mount(pod, fake_server, sourcePythonClass=python_class, appConfig={})

    exit_code, summary, log = run(pod)

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (2, "InvalidConfiguration", "runner"), log
    assert python_class.rpartition(".")[0] in summary["message"]
    assert words in summary["message"]
    assert "Traceback" not in log
    assert fake_server.runs(FQN)[0]["terminalStates"] == ["failed"]


def test_a_configuration_error_names_the_field(pod: Pod, fake_server: FakeServerClient) -> None:
    mount(pod, fake_server, appConfig={"sleep": "for a while", "echo": "hello"})

    exit_code, summary, log = run(pod)

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (2, "InvalidConfiguration", "runner"), log
    assert "HelloPipelines" in summary["message"]
    assert "sleep" in summary["message"]
    assert fake_server.runs(FQN)[0]["terminalStates"] == ["failed"]
