"""The warm pool over an API server in memory: who takes what, and what happens when that goes wrong."""

import base64
import json

import pytest

from ingestion_operator import constants
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.errors import Conflict, NotFound
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import SECRETS
from testing import objects
from testing.entities import automation
from testing.simulation import Simulation
from testing.warm_pods import Pods, another, size, start, waiting, warm


def test_a_pool_is_off_until_it_is_asked_for(simulation: Simulation, pool: WarmPool) -> None:
    size(simulation, 0)
    pool.keep_full()
    calls = len(simulation.cluster.calls)
    pool.keep_full()
    assert len(simulation.cluster.calls) == calls
    assert warm(simulation) == []


def test_a_warm_job_owns_its_secret_and_has_no_permissions(simulation: Simulation, pool: WarmPool) -> None:
    size(simulation, 2)
    pool.keep_full()
    secrets = {body["metadata"]["name"]: body for body in simulation.cluster.all(SECRETS)}
    for job in warm(simulation):
        name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]
        assert [owner["uid"] for owner in secrets[name]["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
        assert base64.b64decode(secrets[name]["data"]["secret"]).decode() == f"secret of {name}"
        assert spec["automountServiceAccountToken"] is False
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert spec["restartPolicy"] == "Never"
        assert job["spec"]["backoffLimit"] == 0
        assert f"secret of {name}" not in json.dumps(job)
    assert len(warm(simulation)) == 2


def test_a_warm_pod_waits_and_is_ready_when_its_port_is_open(simulation: Simulation, pool: WarmPool) -> None:
    pool.keep_full()
    template = warm(simulation)[0]["spec"]["template"]
    given = json.loads(template["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given == {"version": 1, "kind": "warmAutomation", "waitSeconds": 1800, "port": 8443}
    (container,) = template["spec"]["containers"]
    assert container["readinessProbe"]["tcpSocket"] == {"port": "handover"}
    assert container["ports"] == [{"name": "handover", "containerPort": 8443}]
    assert template["metadata"]["labels"][constants.LABEL_WARM_POOL] == "automations"


def test_a_warm_pod_keeps_no_node_that_nothing_else_needs(simulation: Simulation, pool: WarmPool) -> None:
    pool.keep_full()
    annotations = warm(simulation)[0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "true"


def test_replicas_do_not_overfill_the_pool(simulation: Simulation, pool: WarmPool, pods: Pods) -> None:
    size(simulation, 3)
    simulation.cluster.interleave("create", another(simulation, pods).keep_full, plural="jobs")
    pool.keep_full()
    another(simulation, pods).keep_full()
    assert len(waiting(simulation)) == 3


def test_pods_of_another_image_are_replaced_and_not_taken(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    (old,) = waiting(simulation)
    template = PodTemplate.model_validate({"container": {"image": "runner:new"}})
    simulation.settings = simulation.settings.model_copy(update={"pod_template": template})
    client.run_automation(automation())
    assert pods.given == []
    pool.keep_full()
    assert waiting(simulation) == [old]  # another replica may have made it by newer settings
    simulation.clock.forward(minutes=3)
    pool.keep_full()
    (new,) = waiting(simulation)
    assert new != old
    retired = next(job for job in warm(simulation) if job["metadata"]["name"] == old)
    assert (retired["spec"]["activeDeadlineSeconds"], retired["spec"]["ttlSecondsAfterFinished"]) == (1, 0)


def test_a_new_gateway_empties_a_pool_that_is_switched_off(simulation: Simulation, pool: WarmPool, pods: Pods) -> None:
    pool.keep_full()
    start(simulation)
    size(simulation, 0)
    simulation.clock.forward(minutes=3)
    another(simulation, pods).keep_full()
    assert waiting(simulation) == []


def test_replicas_with_different_settings_do_not_interfere(simulation: Simulation, pool: WarmPool, pods: Pods) -> None:
    newer = simulation.settings.model_copy(update={"warm_automations": 2})
    ahead = WarmPool(simulation.cluster, objects.NAMESPACE, lambda: newer, simulation.clock, pods)
    for _ in range(30):
        pool.keep_full()
        ahead.keep_full()
        simulation.clock.forward(seconds=5)
    assert len(warm(simulation)) == len(waiting(simulation)) == 2


def test_a_pod_that_is_taken_while_it_is_retired_works_on(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    size(simulation, 0)
    simulation.clock.forward(minutes=3)

    def take() -> None:
        size(simulation, 1)
        client.run_automation(automation())

    simulation.cluster.interleave("merge_patch", take, plural="jobs")
    pool.keep_full()
    assert len(pods.given) == 1
    assert warm(simulation)[0]["spec"]["activeDeadlineSeconds"] == 180 + 100


@pytest.mark.parametrize("error", [Conflict("taken", code=409), NotFound("gone", code=404)])
def test_a_taken_name_or_a_missing_job_is_not_a_failure(
    simulation: Simulation, pool: WarmPool, error: Exception
) -> None:
    if isinstance(error, Conflict):
        simulation.cluster.fail("create", error, plural="jobs")
    else:
        pool.keep_full()
        size(simulation, 0)
        simulation.clock.forward(minutes=3)
        simulation.cluster.fail("merge_patch", error, plural="jobs")
    pool.keep_full()
