"""Runs that come to an end by themselves, good or bad."""

import time
from dataclasses import replace
from typing import Final

from tests.chaos import application
from tests.chaos.row import Row
from tests.chaos.scene import Scene
from tests.chaos.verdict import Expected
from tests.support import manifests
from tests.support import site as sites
from tests.support.postgres.process import connection

_PIPELINES, _RUNS_OF_EACH = 5, 10
_START_OF_ALL_SECONDS: Final = 100
_SAME_SECOND: Final = 1.0
"""By how much the workflows' ends may differ. Two cores take half a minute to take 50 containers down after that."""


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
    """Light pods: two cores could not hold the library fifty times."""
    scene.stage.site.apply(application.light_config_map())
    moment = int(time.time()) + _START_OF_ALL_SECONDS
    template = application.light_template(moment)
    concurrency = {"policy": "Allow", "maxActiveRuns": _RUNS_OF_EACH}
    pipelines = [
        scene.application(suffix=f"-{number}", podTemplate=template, concurrency=concurrency)
        for number in range(_PIPELINES)
    ]
    unread = replace(scene.expected, log="")  # one log of each pipeline is enough to read
    runs = [scene.start_by_client(pipeline) for pipeline in pipelines]
    runs += [scene.start_by_client(pipeline, unread) for pipeline in pipelines * (_RUNS_OF_EACH - 1)]
    for run in runs:
        scene.wait_until_recorded(run)
    ends = [scene.row(run)["row"]["endDate"] / 1000 for run in runs]
    assert max(ends) - min(ends) <= _SAME_SECOND, f"they ended within {max(ends) - min(ends):.1f} s"


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
        f"{_PIPELINES * _RUNS_OF_EACH} runs of {_PIPELINES} pipelines end in the same second, in light pods",
        many_at_once,
        # Two rows where a server that 50 runs call at once answers so late that the runner tells it again.
        Expected("success", ("Succeeded",), ("runner",), most_rows=2, log=application.LAST_WORDS),
        is_alone=True,
        is_timed=False,
    ),
)
