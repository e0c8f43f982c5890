"""Specs that are edited at the wrong moment, are invalid, hang, or wait for a Secret."""

import json
import time
from typing import Any, Final

from testing import installation as installations
from testing.install import install_crd
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case, Setup
from tests.scenarios.faults.cases.api_calls import ENDLESS, STOPPED
from tests.scenarios.faults.cases.watches import LIGHT
from tests.scenarios.faults.trial import Trial, kill_by_annotation
from tests.scenarios.faults.verdict import Expected

_CRD: Final = "ingestionpipelines.ingestion.openmetadata.org"
_MANY: Final = 200
_MOST_CALLS_PER_SECOND: Final = 5.0
_MEASURED_SECONDS: Final = 60
_BACK_OFF_SECONDS: Final = 310
"""How long a pipeline that misses something outside waits at most until it is reconciled again, and some seconds."""


def server_moved(trial: Trial) -> None:
    """The run is killed after the move; only the operator reports its end, to the server that the run began at."""
    pipeline = trial.light(podTemplate=_unschedulable())
    run = trial.start(pipeline)
    trial.target.observer.wait("the run to be listed", lambda seen: seen.record is not None, run, timeout=30)
    trial.disturbed()
    trial.edit(pipeline, {"server": {"hostPort": "http://moved.invalid:8585/api"}})
    trial.wait_until_ready(pipeline)
    kill_by_annotation(trial, pipeline, run)
    trial.wait_until_recorded(run)


def service_renamed(trial: Trial) -> None:
    """Likewise for the name that the pipeline has at the server."""
    pipeline = trial.light(podTemplate=_unschedulable())
    run = trial.start(pipeline)
    trial.target.observer.wait("the run to be listed", lambda seen: seen.record is not None, run, timeout=30)
    trial.disturbed()
    trial.edit(pipeline, {"fullyQualifiedName": f"{application.SERVICE}.renamed-{pipeline}"})
    trial.wait_until_ready(pipeline)
    kill_by_annotation(trial, pipeline, run)
    trial.wait_until_recorded(run)


def invalid_spec(trial: Trial) -> None:
    """The API server takes any spec for a while, as one with an older CRD may."""
    pipeline = trial.light(seconds=ENDLESS, schedule={"cron": "0 0 1 1 *", "timeZone": "Etc/UTC"})
    run = trial.start(pipeline)
    trial.wait_until_working(run)
    cronjob = trial.installation.status(pipeline)["cronJobName"]
    trial.disturbed()
    try:
        _take_any_spec(trial)
        trial.edit(pipeline, {"pipelineType": "nonsense", "suspend": True})
        trial.wait_for_condition(pipeline, "InvalidSpec")
        trial.check(
            "the CronJob to be suspended", lambda: (trial.installation.get("cronjob", cronjob) or {})["spec"]["suspend"]
        )
        kill_by_annotation(trial, pipeline, run)
        trial.wait_until_recorded(run)
        trial.settle(timeout=60)
    finally:
        trial.edit(pipeline, {"pipelineType": "application", "suspend": False})
        install_crd(trial.installation.cluster)
    trial.recovered()
    trial.wait_until_ready(pipeline)


def _take_any_spec(trial: Trial) -> None:
    crd = json.loads(trial.installation.cluster.kubectl("get", "crd", _CRD, "-o", "json"))
    for version in crd["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        schema.pop("x-kubernetes-validations", None)
        schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd["metadata"].pop("managedFields", None)
    trial.installation.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(crd))


def secrets_missing(trial: Trial) -> None:
    """Many pipelines name one Secret that does not exist; it costs little until it does."""
    name = f"{trial.name}-token"
    bodies = [_body(trial, f"{trial.name}-{number}", name) for number in range(_MANY)]
    trial.installation.apply(*bodies)
    wait_for("all pipelines to miss it", lambda: _count(trial, "False", "SecretNotFound") == _MANY, timeout=120)
    with trial.target.proxy.recording() as calls:
        time.sleep(_MEASURED_SECONDS)  # the length of a measurement, nothing is waited for
    assert len(calls) / _MEASURED_SECONDS < _MOST_CALLS_PER_SECOND, f"{len(calls)} calls in {_MEASURED_SECONDS} s"
    trial.disturbed()
    trial.installation.apply(installations.secret(name, "token", trial.installation.credentials.token))
    wait_for("all pipelines to be Ready", lambda: _count(trial, "True") == _MANY, timeout=_BACK_OFF_SECONDS)
    trial.recovered()
    trial.wait_until_recorded(trial.start(trial.light()))


def secret_deleted(trial: Trial) -> None:
    """The token's Secret goes while a run works, which then ends, and is made again with the same token."""
    name = f"{trial.name}-token"
    secret = installations.secret(name, "token", trial.installation.credentials.token)
    trial.installation.apply(secret)
    pipeline = trial.light(seconds=ENDLESS, server=_body(trial, trial.name, name)["spec"]["server"])
    run = trial.start(pipeline)
    trial.wait_until_working(run)
    trial.disturbed()
    trial.installation.kubectl("delete", "secret", name)
    kill_by_annotation(trial, pipeline, run)
    trial.wait_until_recorded(run)
    trial.installation.apply(secret)
    trial.recovered()
    trial.wait_until_ready(pipeline, timeout=trial.able_within)


def hung(trial: Trial) -> None:
    """A run without spec.timeout that does not end by itself."""
    trial.wait_until_recorded(trial.start(trial.light(seconds=ENDLESS)))


def _unschedulable() -> dict[str, Any]:
    template = application.light_template(ENDLESS)
    template["spec"]["nodeSelector"] = {"no-node": "has-it"}
    return template


def _body(trial: Trial, name: str, secret: str) -> dict[str, Any]:
    body = installations.pipeline(name)
    body["spec"]["server"] |= {
        "hostPort": trial.target.server,
        "tokenSecretRef": {"name": secret, "key": "token"},
    }
    return body


def _count(trial: Trial, status: str, reason: str = "") -> int:
    """Return how many pipelines have the condition Ready so."""
    conditions = [
        one
        for body in trial.installation.list("omip")
        for one in body.get("status", {}).get("conditions", [])
        if one["type"] == "Ready"
    ]
    return sum(one["status"] == status and reason in one["reason"] for one in conditions)


_UNSTARTED: Final = Expected("stopped", ("Killed",), ("operator",), message="before it started")

SPECS: Final = (
    Case(
        "server-moved",
        "spec.server.hostPort is edited while a run waits, which is then killed",
        server_moved,
        _UNSTARTED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=90,
    ),
    Case(
        "name-changed",
        "spec.fullyQualifiedName is edited while a run waits, which is then killed",
        service_renamed,
        _UNSTARTED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=90,
    ),
    Case(
        "invalid-spec",
        "a spec that the operator cannot read, in a cluster whose CRD lets it in, while a run works",
        invalid_spec,
        STOPPED,
        place="exclusive",
        is_timed=False,
        about_seconds=120,
    ),
    Case(
        "secrets-missing",
        f"{_MANY} pipelines name a Secret that does not exist, and later does",
        secrets_missing,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=600,
    ),
    Case(
        "secret-deleted",
        "the Secret with the token is deleted while a run works, and made again after its end",
        secret_deleted,
        STOPPED,
        able_within=60,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
    Case(
        "hung",
        "a run without spec.timeout hangs; settings.defaultTimeout 20s",
        hung,
        Expected("failed", ("DeadlineExceeded",), ("operator",), most_rows=2),
        place="own",
        setup=Setup(settings={"defaultTimeout": "20s"}),
        is_timed=False,
        most_restarts=0,
        about_seconds=110,
    ),
)
