"""Runs that come to an end by themselves, good or bad."""

import time
from dataclasses import replace
from typing import Final

from testing import installation as installations
from testing import manifests
from testing.postgres.process import connection
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_PIPELINES, _RUNS_OF_EACH = 5, 10
_START_OF_ALL_SECONDS: Final = 100
_SAME_SECOND: Final = 1.0
"""By how much the workflows' ends may differ. Two cores take half a minute to take 50 containers down after that."""


def success(trial: Trial) -> None:
    trial.start(trial.metadata())


def partial_success(trial: Trial) -> None:
    """The fake server refuses one table of a service of its own, so that other rows are not touched."""
    service = f"{trial.name}-source"
    installations.register_service(trial.installation, service, trial.installation.credentials.password)
    refusal = {"entity": rf"^{service}\.shop\.sales\.orders$", "status": 400, "message": "this table is refused"}
    with trial.target.server_faults.during(refusal | {"method": "PUT"}):
        trial.wait_until_recorded(trial.start(trial.metadata(service)))


def workflow_failure(trial: Trial) -> None:
    trial.start(trial.application("fail"))


def wrong_source_password(trial: Trial) -> None:
    service = f"{trial.name}-source"
    installations.register_service(trial.installation, service, "not-the-password")
    trial.start(trial.metadata(service))


def source_down(trial: Trial) -> None:
    """A Service without a pod behind it, as a database that is being moved has."""
    service = f"{trial.name}-source"
    host = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}}
    trial.installation.apply({**host, "spec": {"ports": [{"port": 5432}], "selector": {"app": "none"}}})
    address = f"{service}:{manifests.POSTGRES_PORT}"
    trial.installation.fake_server.register_service(
        service, "Postgres", connection(address, trial.installation.credentials.password)
    )
    trial.start(trial.metadata(service))


def invalid_configuration(trial: Trial) -> None:
    wrong = {"config": {"type": "DatabaseMetadata", "includeTabels": True}}
    trial.start(trial.metadata(sourceConfig=wrong, retry={"limit": 3}))


def many_at_once(trial: Trial) -> None:
    """Light pods: two cores could not hold the library fifty times."""
    moment = int(time.time()) + _START_OF_ALL_SECONDS
    template = application.light_template(ends_at=moment)
    concurrency = {"policy": "Allow", "maxActiveRuns": _RUNS_OF_EACH}
    pipelines = [
        trial.application(suffix=f"-{number}", podTemplate=template, concurrency=concurrency)
        for number in range(_PIPELINES)
    ]
    unread = replace(trial.expected, log="")  # one log of each pipeline is enough to read
    runs = [trial.start_by_client(pipeline) for pipeline in pipelines]
    runs += [trial.start_by_client(pipeline, unread) for pipeline in pipelines * (_RUNS_OF_EACH - 1)]
    for run in runs:
        trial.wait_until_recorded(run)
    ends = [trial.row(run)["row"]["endDate"] / 1000 for run in runs]
    assert max(ends) - min(ends) <= _SAME_SECOND, f"they ended within {max(ends) - min(ends):.1f} s"


ENDS: Final = (
    Case("success", "none", success, Expected("success", ("Succeeded",), log="Workflow finished")),
    Case(
        "partial-success",
        "OpenMetadata refuses one table",
        partial_success,
        Expected("partialSuccess", ("PartiallySucceeded",), log="this table is refused"),
    ),
    Case(
        "workflow-failure",
        "the workflow fails in its work",
        workflow_failure,
        Expected("failed", ("WorkflowFailed",), message=application.FAILURE, log=application.FAILURE),
    ),
    Case(
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
    Case(
        "source-down",
        "nothing listens where the source should be",
        source_down,
        Expected("failed", ("InitializationFailed",), ("runner",), message="onnection", log="[runner] failed"),
    ),
    Case(
        "invalid-config",
        "a field of sourceConfig is misspelt, retry.limit 3",
        invalid_configuration,
        Expected("failed", ("InvalidConfiguration",), ("runner",), message="includeTabels", log="includeTabels"),
    ),
    Case(
        "many-at-once",
        f"{_PIPELINES * _RUNS_OF_EACH} runs of {_PIPELINES} pipelines end in the same second, in light pods",
        many_at_once,
        # Two rows where a server that 50 runs call at once answers so late that the runner reports again.
        Expected("success", ("Succeeded",), ("runner",), most_rows=2, log=application.LAST_WORDS),
        place="exclusive",
        is_timed=False,
        about_seconds=240,
    ),
)
