"""The contract's operations as the tests of faults call them: what each needs, and its calls to the API server."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.pipeline_service.names import resource_name, source_config_secret_name
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from testing.fault_proxy import Call
from testing.pipeline_state import own_entity
from testing.server_client import Reply, ServerClient
from testing.waiting import wait_for

RUN: Final = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
LOG_LINE: Final = "a line of the workflow"
_OVERRIDE: Final = {"pipelineRunId": RUN, "sourceConfigOverride": {"includeTables": False}}
_READ_BOUND: Final = 9.0
_WRITE_BOUND: Final = 16.0
"""Seconds within which the gateway promises an answer, whatever happens, and one for the test."""

_PATTERNS: Final = {
    "get": ("GET", r"/{}/[^/?]+$"),
    "list": ("GET", r"/{}\?"),
    "read": ("GET", r"/{}/[^/]+/log\?"),
    "create": ("POST", r"/{}\?"),
    "patch": ("PATCH", r"/{}/"),
    "delete": ("DELETE", r"/{}/"),
}
_PLURALS: Final = ("ingestionpipelines", "secrets", "jobs", "pods")


@dataclass(frozen=True)
class Step:
    """One call of an operation to the API server: the `nth` of its verb and kind."""

    verb: str
    plural: str
    nth: int = 1

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _PATTERNS[self.verb][0]

    @property
    def target(self) -> str:
        """A pattern for path and query."""
        return _PATTERNS[self.verb][1].format(self.plural)

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{self.verb} {self.plural} {self.nth}"


def steps_of(calls: list[Call]) -> list[Step]:
    """The steps that were made, in their order, without the watches that keep the cache up to date."""
    found: list[Step] = []
    for call in calls:
        if "watch=true" in call.target:
            continue
        every = (Step(verb, plural) for verb in _PATTERNS for plural in _PLURALS)
        step = next(step for step in every if step.method == call.method and re.search(step.target, call.target))
        nth = 1 + sum((other.verb, other.plural) == (step.verb, step.plural) for other in found)
        found.append(Step(step.verb, step.plural, nth))
    return found


@dataclass(frozen=True)
class Environment:
    """Where operations are called: a gateway, and the API server behind it."""

    port: int
    api: KubernetesCluster
    namespace: str

    @contextmanager
    def another_server(self) -> Iterator[ServerClient]:
        """An OpenMetadata server that calls the gateway; not for several threads."""
        server = ServerClient.old(self.port)
        try:
            yield server
        finally:
            server.close()


@dataclass(frozen=True)
class Operation:
    """A call of the contract, to a gateway whose cache has what it is called for.

    `prepare` makes what it is called for, `steps` are its calls where nothing fails, `repeated` the codes of the same
    call again, `bound` the seconds that it may take.
    """

    prepare: Callable[[Environment, str], object]
    call: Callable[[ServerClient, str], Reply]
    steps: list[Step]
    bound: float = _WRITE_BOUND
    repeated: tuple[int, ...] = (200,)
    after_conflict: list[Step] = field(default_factory=list)
    """Its calls where another client, such as the Job controller, has written the object since the cache read it."""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing, so that one pipeline serves for all its calls."""
        return not any(step.is_write for step in self.steps)


def _steps(text: str) -> list[Step]:
    words = [part.split() for part in text.split(",")]
    return [Step(verb, plural, int(rest[0]) if rest else 1) for verb, plural, *rest in words]


def _nothing(_: Environment, __: str) -> None:
    """No pipeline exists yet."""


def _deployed(environment: Environment, name: str) -> None:
    with environment.another_server() as server:
        assert server.deploy(own_entity(name)).message


def _queued(environment: Environment, name: str) -> None:
    _deployed(environment, name)
    with environment.another_server() as server:
        assert server.trigger(name, {"pipelineRunId": RUN}).message


def _orphaned(environment: Environment, name: str) -> None:
    """Only the Secret of a pipeline is left."""
    metadata = {
        "namespace": environment.namespace,
        "name": source_config_secret_name(resource_name(name)),
        "labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY},
    }
    environment.api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})


def _running(environment: Environment, name: str) -> None:
    """The pipeline has a run whose pod has written a line: a manual Job, since no runner image is needed."""
    _deployed(environment, name)
    resource = resource_name(name)
    pipeline = environment.api.get(PIPELINES, environment.namespace, resource)
    assert pipeline is not None
    labels = {constants.LABEL_PIPELINE: resource}
    owner = {"apiVersion": constants.API_VERSION, "kind": constants.KIND, "name": resource}
    container = {
        "name": constants.RUNNER_CONTAINER,
        "image": "localhost/pause:1",
        "command": ["/bin/busybox", "sh", "-c", f"echo {LOG_LINE}; sleep 600"],
    }
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    metadata: dict[str, Any] = {
        "namespace": environment.namespace,
        "name": f"{resource}-by-hand",
        "labels": labels,
        "ownerReferences": [{**owner, "uid": pipeline["metadata"]["uid"], "controller": True}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    environment.api.create(
        JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}
    )
    with environment.another_server() as server:
        wait_for("the pod's log", lambda: LOG_LINE in server.logs(name).body.decode(), timeout=60)


def _redeploy(server: ServerClient, name: str) -> Reply:
    config = {"type": "DatabaseMetadata", "includeTables": False}
    return server.deploy(own_entity(name, serial=2, loggerLevel="DEBUG", sourceConfig={"config": config}))


OPERATIONS: Final = {
    "deploy": Operation(
        _nothing,
        lambda server, name: server.deploy(own_entity(name)),
        _steps(
            "get ingestionpipelines, get secrets, create secrets, create ingestionpipelines, get secrets 2,"
            "create secrets 2"
        ),
    ),
    "redeploy": Operation(
        _deployed,
        _redeploy,
        _steps(
            "get ingestionpipelines, get secrets, patch secrets, patch ingestionpipelines, get secrets 2,"
            "patch secrets 2"
        ),
    ),
    "trigger": Operation(
        _deployed,
        lambda server, name: server.trigger(name, {"pipelineRunId": RUN}),
        _steps("get ingestionpipelines, create jobs"),
    ),
    "trigger with an override": Operation(
        _deployed,
        lambda server, name: server.trigger(name, _OVERRIDE),
        _steps("get ingestionpipelines, get secrets, create jobs, get secrets 2, create secrets, patch jobs"),
    ),
    "disable": Operation(
        _deployed,
        lambda server, name: server.disable(name),
        _steps("get ingestionpipelines, patch ingestionpipelines"),
    ),
    "kill": Operation(
        _queued,
        lambda server, name: server.kill(name),
        _steps("patch jobs"),
        repeated=(200, 404),  # a run that is being stopped is nothing to stop
        after_conflict=_steps("patch jobs, get jobs, patch jobs 2"),
    ),
    "delete": Operation(
        _queued,
        lambda server, name: server.delete(name),
        _steps("get ingestionpipelines, delete ingestionpipelines, get secrets"),
    ),
    "delete of what is left": Operation(
        _orphaned,
        lambda server, name: server.delete(name),
        _steps("get ingestionpipelines, get secrets, delete secrets"),
    ),
    "status": Operation(
        _queued,
        lambda server, name: server.read("status", {"dag_id": name}),
        [],
        bound=_READ_BOUND,
    ),
    "logs": Operation(
        _running,
        lambda server, name: server.logs(name),
        _steps("read pods"),
        bound=_READ_BOUND,
    ),
}
"""All that need a pipeline or make one, by name."""
