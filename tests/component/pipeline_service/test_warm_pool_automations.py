"""Automations that a warm pod takes, or that get a Job all the same."""

import json

import pytest

from ingestion_operator import constants
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.settings import ServiceLayer
from ingestion_operator.errors import Rejected, Unavailable
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import JOBS
from testing.entities import automation, token
from testing.objects import Body
from testing.simulation import Simulation
from testing.warm_pods import Pods, another, client_of, cold, start, waiting, warm


def test_an_automation_goes_to_a_ready_pod_and_gets_no_job(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    simulation.clock.forward(seconds=60)
    body = automation(aKeyOfALaterVersion={"täglich": 1})
    answer = client.run_automation(body)
    ((address, name, credentials, document),) = pods.given
    (job,) = warm(simulation)
    assert (address, name, document) == ("10.0.0.0", job["metadata"]["name"], body)
    assert credentials == pods.credentials(name)
    assert answer.reason == "Automation test-connection-shop-x1 has been started"
    assert answer.run_id == job["spec"]["template"]["metadata"]["annotations"][constants.ANNOTATION_RUN_ID]
    assert cold(simulation) == []
    assert job["metadata"]["annotations"][constants.ANNOTATION_ENTITY_NAME] == "test-connection-shop-x1"
    assert job["spec"]["activeDeadlineSeconds"] == 60 + 100
    assert token() not in json.dumps(simulation.cluster.all(JOBS))


def test_a_pod_that_was_taken_is_replaced_and_never_taken_again(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    client.run_automation(automation())
    (first,) = warm(simulation)
    pool.keep_full()
    assert len(warm(simulation)) == 2
    assert waiting(simulation) != [first["metadata"]["name"]]
    client.run_automation(automation())  # its successor is not ready yet
    assert len(pods.given) == 1
    assert len(cold(simulation)) == 1


def test_two_automations_never_get_the_same_pod(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    faster = client_of(simulation, another(simulation, pods))
    simulation.cluster.interleave("merge_patch", lambda: faster.run_automation(automation("faster")), plural="jobs")
    client.run_automation(automation("slower"))
    assert [document["name"] for _, _, _, document in pods.given] == ["faster"]
    assert [job["metadata"]["annotations"][constants.ANNOTATION_ENTITY_NAME] for job in cold(simulation)] == ["slower"]


def test_a_pod_that_does_not_take_it_is_stopped_and_a_job_made(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    pods.result = "refused"
    client.run_automation(automation())
    assert len(cold(simulation)) == 1
    assert warm(simulation)[0]["spec"]["activeDeadlineSeconds"] == 1


def test_a_pod_that_may_have_started_ends_before_a_job_is_made(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    pods.result = "unknown"
    seen: list[Body] = []

    def end_on_the_second_read() -> None:
        seen.append(warm(simulation)[0])
        assert cold(simulation) == []
        failed = {"conditions": [{"type": "Failed", "status": "True"}]}
        simulation.cluster.put(JOBS, warm(simulation)[0] | {"status": failed})

    def begin_to_stop() -> None:
        simulation.cluster.interleave("get", lambda: None, plural="jobs")
        simulation.cluster.interleave("get", end_on_the_second_read, plural="jobs")

    pods.meanwhile = begin_to_stop
    client.run_automation(automation())
    assert [job["spec"]["activeDeadlineSeconds"] for job in seen] == [1]
    assert len(cold(simulation)) == 1


def test_a_pod_that_may_have_started_is_awaited_briefly(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    pods.result = "unknown"
    begun = simulation.clock.now()
    client.run_automation(automation())
    assert 2.9 < (simulation.clock.now() - begun).total_seconds() < 3.1
    assert len(cold(simulation)) == 1


def test_a_started_pod_that_cannot_be_stopped_is_not_doubled(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(simulation)
    pods.result = "unknown"
    pods.meanwhile = lambda: simulation.cluster.fail("merge_patch", Unavailable("away", code=503), plural="jobs")
    with pytest.raises(Unavailable):
        client.run_automation(automation())
    assert cold(simulation) == []


@pytest.mark.parametrize("verb", ["list", "merge_patch"])
def test_a_fault_before_the_hand_over_costs_only_the_warmth(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods, verb: str
) -> None:
    pool.keep_full()
    start(simulation)
    simulation.cluster.fail(verb, Unavailable("away", code=503))
    client.run_automation(automation())
    assert pods.given == []
    assert len(cold(simulation)) == 1


def test_a_service_with_its_own_pod_template_gets_its_own_pod(
    simulation: Simulation, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    template = PodTemplate.model_validate({"spec": {"nodeSelector": {"zone": "a"}}})
    layers = [ServiceLayer(name="shop", pod_template=template)]
    simulation.settings = simulation.settings.model_copy(update={"pod_templates_by_service": layers})
    pool.keep_full()
    start(simulation)
    client.run_automation(automation())
    assert pods.given == []
    assert cold(simulation)[0]["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "a"}


def test_errors_of_an_automation_are_those_without_a_pool(
    simulation: Simulation, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    with pytest.raises(Rejected, match="Missing parameter 'id'"):
        client.run_automation(automation(id=None))
    assert pods.given == []
    assert not simulation.cluster.writes
