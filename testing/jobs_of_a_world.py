"""What Kubernetes does to the Jobs of a world, and what a test sees of them."""

from typing import Any

from ingestion_operator import constants
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import read_job
from testing.objects import NAMESPACE, Body, at
from testing.world import World

RESOURCE = resource_name("nightly")
RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"


def jobs(world: World) -> list[Body]:
    return world.cluster.all(JOBS)


def job(world: World, run_id: str) -> Body:
    return next(body for body in jobs(world) if read_job(body).run_id == run_id)


def edit(world: World, run_id: str, **status: Any) -> None:
    world.cluster.edit(JOBS, NAMESPACE, job(world, run_id)["metadata"]["name"], lambda body: body.update(status=status))


def finish(world: World, run_id: str, condition: str = "Complete", reason: str = "") -> None:
    """Let Kubernetes end a Job."""
    now = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    found = {"type": condition, "status": "True", "lastTransitionTime": now, "reason": reason, "message": ""}
    edit(world, run_id, conditions=[found])


def add_pod(world: World, run_id: str, name: str, *, running: bool = True, created: float = 1) -> None:
    body = job(world, run_id)
    state = {"running": {"startedAt": at(created)}} if running else {"waiting": {"reason": "ContainerCreating"}}
    world.cluster.put(
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


def scheduled(world: World, name: str) -> Body:
    """Let the CronJob controller start a Job."""
    (cronjob,) = [body for body in world.cluster.all(CRONJOBS) if body["metadata"]["name"] == RESOURCE]
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {constants.LABEL_PIPELINE: RESOURCE},
        "annotations": {constants.ANNOTATION_PIPELINE_NAME: RESOURCE, constants.ANNOTATION_SCHEDULED_AT: at()},
        "ownerReferences": [controller("CronJob", cronjob)],
    }
    return world.cluster.put(JOBS, {"metadata": metadata, "spec": {"suspend": False, "template": {}}, "status": {}})


def controller(kind: str, body: Body) -> Body:
    """A reference to the controller of an object."""
    metadata = body["metadata"]
    return {"kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def allow_queued(world: World, runs: int) -> None:
    """Let so many runs of the pipeline wait."""

    def change(body: Body) -> None:
        body["spec"].setdefault("concurrency", {})["maxQueuedRuns"] = runs

    world.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, change)


def is_suspended(world: World, name: str) -> bool:
    body = world.cluster.get(JOBS, NAMESPACE, name)
    assert body is not None
    return bool(body["spec"].get("suspend"))
