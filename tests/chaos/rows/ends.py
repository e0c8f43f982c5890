"""Runs that come to an end by themselves, good or bad."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.chaos import application
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.verdict import Expected
from tests.support import manifests
from tests.support import site as sites
from tests.support.postgres.process import connection

_AT_ONCE: Final = 12
"""Two cores cannot start 50 interpreters in a time that anybody would wait for."""

_START_OF_ALL_SECONDS: Final = 110


def success(scene: Scene) -> None:
    scene.start(scene.metadata())


def partial_success(scene: Scene) -> None:
    """The double refuses one table of a service of its own, so that other rows are not touched."""
    service = f"{scene.name}-source"
    sites.register_service(scene.stage.site, service, scene.stage.site.credentials.password)
    refusal = {"entity": rf"^{service}\.shop\.sales\.orders$", "status": 400, "message": "this table is refused"}
    with scene.stage.server_faults.during(refusal | {"method": "PUT"}):
        scene.wait_until_recorded(scene.start(scene.metadata(service)))


def workflow_failure(scene: Scene) -> None:
    scene.start(scene.application("fail"))


def wrong_source_password(scene: Scene) -> None:
    service = f"{scene.name}-source"
    sites.register_service(scene.stage.site, service, "not-the-password")
    scene.start(scene.metadata(service))


def source_down(scene: Scene) -> None:
    """A Service without a pod behind it, as a database that is being moved has."""
    service = f"{scene.name}-source"
    host = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}}
    scene.stage.site.apply({**host, "spec": {"ports": [{"port": 5432}], "selector": {"nobody": "answers"}}})
    address = f"{service}:{manifests.POSTGRES_PORT}"
    scene.stage.site.double.register_service(
        service, "Postgres", connection(address, scene.stage.site.credentials.password)
    )
    scene.start(scene.metadata(service))


def invalid_configuration(scene: Scene) -> None:
    wrong = {"config": {"type": "DatabaseMetadata", "includeTabels": True}}
    scene.start(scene.metadata(sourceConfig=wrong, retry={"limit": 3}))


def many_at_once(scene: Scene) -> None:
    """One pipeline each, all of which end in the same second."""
    moment = int(time.time()) + _START_OF_ALL_SECONDS
    suffixes = [f"-{number}" for number in range(_AT_ONCE)]
    pipelines = [scene.application(f"until:{moment}", suffix=suffix) for suffix in suffixes]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(scene.start, pipelines))


ENDS: Final = (
    Row("success", "none", success, Expected("success", ("Succeeded",), log="Workflow finished")),
    Row(
        "partial-success",
        "OpenMetadata refuses one table",
        partial_success,
        Expected("partialSuccess", ("PartiallySucceeded",), log="this table is refused"),
    ),
    Row(
        "workflow-failure",
        "the workflow fails in its work",
        workflow_failure,
        Expected("failed", ("WorkflowFailed",), message=application.FAILURE, log=application.FAILURE),
    ),
    Row(
        "wrong-password",
        "the source refuses the password",
        wrong_source_password,
        Expected(
            "failed",
            ("InitializationFailed",),
            ("runner",),
            message="password authentication failed",
            log="password authentication failed",
        ),
    ),
    Row(
        "source-down",
        "nothing listens where the source should be",
        source_down,
        Expected("failed", ("InitializationFailed",), ("runner",), message="onnection", log="[runner] failed"),
    ),
    Row(
        "invalid-config",
        "a field of sourceConfig is misspelt, retry.limit 3",
        invalid_configuration,
        Expected("failed", ("InvalidConfiguration",), ("runner",), message="includeTabels", log="includeTabels"),
    ),
    Row(
        "many-at-once",
        f"{_AT_ONCE} runs end in the same second",
        many_at_once,
        Expected("success", ("Succeeded",), log=application.LAST_WORDS),
        is_alone=True,
    ),
)
