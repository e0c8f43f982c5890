"""What Kubernetes does to the Jobs of a simulation, and what a test sees of them."""

from typing import Any

from ingestion_operator import constants
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import read_job
from testing.objects import NAMESPACE, Body, at
from testing.simulation import Simulation

RESOURCE = resource_name("nightly")
RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"


def jobs(simulation: Simulation) -> list[Body]:
    return simulation.cluster.all(JOBS)


def job(simulation: Simulation, run_id: str) -> Body:
    return next(body for body in jobs(simulation) if read_job(body).run_id == run_id)


def edit(simulation: Simulation, run_id: str, **status: Any) -> None:
    simulation.cluster.edit(
        JOBS, NAMESPACE, job(simulation, run_id)["metadata"]["name"], lambda body: body.update(status=status)
    )


def finish(simulation: Simulation, run_id: str, condition: str = "Complete", reason: str = "") -> None:
    """Let Kubernetes end a Job."""
    now = f"{simulation.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    found = {"type": condition, "status": "True", "lastTransitionTime": now, "reason": reason, "message": ""}
    edit(simulation, run_id, conditions=[found])


def add_pod(simulation: Simulation, run_id: str, name: str, *, running: bool = True, created: float = 1) -> None:
    body = job(simulation, run_id)
    state = {"running": {"startedAt": at(created)}} if running else {"waiting": {"reason": "ContainerCreating"}}
    simulation.cluster.put(
        PODS,
        {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "creationTimestamp": at(created),
                "labels": body["metadata"]["labels"],
                "ownerReferences": [controller("Job", body)],
            },
            "spec": {},
            "status": {"containerStatuses": [{"name": "ingestion", "state": state}]},
        },
    )


def scheduled(simulation: Simulation, name: str) -> Body:
    """Let the CronJob controller start a Job."""
    (cronjob,) = [body for body in simulation.cluster.all(CRONJOBS) if body["metadata"]["name"] == RESOURCE]
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {constants.LABEL_PIPELINE: RESOURCE},
        "annotations": {constants.ANNOTATION_PIPELINE_NAME: RESOURCE, constants.ANNOTATION_SCHEDULED_AT: at()},
        "ownerReferences": [controller("CronJob", cronjob)],
    }
    return simulation.cluster.put(
        JOBS, {"metadata": metadata, "spec": {"suspend": False, "template": {}}, "status": {}}
    )


def controller(kind: str, body: Body) -> Body:
    """A reference to the controller of an object."""
    metadata = body["metadata"]
    return {"kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def allow_queued(simulation: Simulation, runs: int) -> None:
    """Let so many runs of the pipeline wait."""

    def change(body: Body) -> None:
        body["spec"].setdefault("concurrency", {})["maxQueuedRuns"] = runs

    simulation.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, change)


def is_suspended(simulation: Simulation, name: str) -> bool:
    body = simulation.cluster.get(JOBS, NAMESPACE, name)
    assert body is not None
    return bool(body["spec"].get("suspend"))
