"""Warm pods in the simulation, and what a test does with them."""

import json
from collections.abc import Callable, Mapping

from ingestion_operator import constants
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import JOBS, PODS, HandoverResult
from testing import objects
from testing.objects import Body
from testing.simulation import Simulation


class Pods:
    """Implements WarmPodConnection: pods that take what they are given, unless set otherwise."""

    def __init__(self) -> None:
        self.result: HandoverResult = "taken"
        self.given: list[tuple[str, str, Mapping[str, str], Body]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def credentials(self, pod_name: str) -> dict[str, str]:
        return {"certificate": f"certificate of {pod_name}", "secret": f"secret of {pod_name}"}

    def send(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandoverResult:
        self.given.append((address, name, credentials, json.loads(document)))
        self.meanwhile()
        return self.result


def another(simulation: Simulation, pods: Pods) -> WarmPool:
    return WarmPool(
        simulation.cluster,
        objects.NAMESPACE,
        lambda: simulation.settings,
        simulation.clock,
        pods,
        sleep=lambda seconds: simulation.clock.forward(seconds=seconds),
    )


def client_of(simulation: Simulation, pool: WarmPool) -> K8sPipelineServiceClient:
    return K8sPipelineServiceClient(
        simulation.cluster,
        namespace=objects.NAMESPACE,
        settings=lambda: simulation.settings,
        clock=simulation.clock,
        logs=simulation.logs,
        warm_pool=pool,
    )


def size(simulation: Simulation, wanted: int) -> None:
    simulation.settings = simulation.settings.model_copy(update={"warm_automations": wanted})


def warm(simulation: Simulation) -> list[Body]:
    return [job for job in simulation.cluster.all(JOBS) if constants.LABEL_WARM_POOL in job["metadata"]["labels"]]


def cold(simulation: Simulation) -> list[Body]:
    return [job for job in simulation.cluster.all(JOBS) if constants.LABEL_WARM_POOL not in job["metadata"]["labels"]]


def waiting(simulation: Simulation) -> list[str]:
    return [
        job["metadata"]["name"]
        for job in warm(simulation)
        if constants.ANNOTATION_CLAIMED_AT not in job["metadata"]["annotations"]
        and job["spec"]["activeDeadlineSeconds"] > 1
    ]


def start(simulation: Simulation) -> None:
    """Do what Job controller, scheduler and kubelet do, until all pods are ready."""
    for number, job in enumerate(warm(simulation)):
        name = job["metadata"]["name"]
        started = f"{simulation.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        simulation.cluster.put(JOBS, job | {"status": {"startTime": started, "active": 1, "ready": 1}})
        labels = job["spec"]["template"]["metadata"]["labels"] | {"batch.kubernetes.io/job-name": name}
        status = {"podIP": f"10.0.0.{number}", "conditions": [{"type": "Ready", "status": "True"}]}
        metadata = {"name": f"{name}-abcde", "namespace": objects.NAMESPACE, "labels": labels}
        simulation.cluster.put(PODS, {"metadata": metadata, "spec": {}, "status": status})
