"""The warm pool over an API server in memory: who takes what, and what happens when that goes wrong."""

import base64
import json
from collections.abc import Callable, Mapping

import pytest

from ingestion_operator import constants
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.settings import ServiceLayer
from ingestion_operator.errors import Conflict, NotFound, Rejected, Unavailable
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import JOBS, PODS, SECRETS, HandedOver
from testing import objects
from testing.entities import automation, token
from testing.objects import Body
from testing.world import World


class Pods:
    """Implements HandOver: pods that take what they are given, unless told otherwise."""

    def __init__(self) -> None:
        self.result: HandedOver = "taken"
        self.given: list[tuple[str, str, Mapping[str, str], Body]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def credentials(self, pod_name: str) -> dict[str, str]:
        return {"certificate": f"certificate of {pod_name}", "secret": f"secret of {pod_name}"}

    def give(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandedOver:
        self.given.append((address, name, credentials, json.loads(document)))
        self.meanwhile()
        return self.result


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def pool(world: World, pods: Pods) -> WarmPool:
    """A pool of one, as a replica of the gateway sees it; nothing of it has been made yet."""
    size(world, 1)
    return another(world, pods)


@pytest.fixture
def client(world: World, pool: WarmPool) -> K8sPipelineServiceClient:
    """The service in front of that pool."""
    return client_of(world, pool)


def another(world: World, pods: Pods) -> WarmPool:
    return WarmPool(
        world.cluster,
        objects.NAMESPACE,
        lambda: world.settings,
        world.clock,
        pods,
        sleep=lambda seconds: world.clock.forward(seconds=seconds),
    )


def client_of(world: World, pool: WarmPool) -> K8sPipelineServiceClient:
    return K8sPipelineServiceClient(
        world.cluster,
        namespace=objects.NAMESPACE,
        settings=lambda: world.settings,
        clock=world.clock,
        logs=world.logs,
        warm_pool=pool,
    )


def size(world: World, wanted: int) -> None:
    world.settings = world.settings.model_copy(update={"warm_automations": wanted})


def warm(world: World) -> list[Body]:
    return [job for job in world.cluster.all(JOBS) if constants.LABEL_WARM_POOL in job["metadata"]["labels"]]


def cold(world: World) -> list[Body]:
    return [job for job in world.cluster.all(JOBS) if constants.LABEL_WARM_POOL not in job["metadata"]["labels"]]


def waiting(world: World) -> list[str]:
    return [
        job["metadata"]["name"]
        for job in warm(world)
        if constants.ANNOTATION_CLAIMED_AT not in job["metadata"]["annotations"]
        and job["spec"]["activeDeadlineSeconds"] > 1
    ]


def start(world: World) -> None:
    """Do what Job controller, scheduler and kubelet do, until all pods are ready."""
    for number, job in enumerate(warm(world)):
        name = job["metadata"]["name"]
        started = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        world.cluster.put(JOBS, job | {"status": {"startTime": started, "active": 1, "ready": 1}})
        labels = job["spec"]["template"]["metadata"]["labels"] | {"batch.kubernetes.io/job-name": name}
        status = {"podIP": f"10.0.0.{number}", "conditions": [{"type": "Ready", "status": "True"}]}
        metadata = {"name": f"{name}-abcde", "namespace": objects.NAMESPACE, "labels": labels}
        world.cluster.put(PODS, {"metadata": metadata, "spec": {}, "status": status})


def test_a_pool_is_off_until_it_is_asked_for(world: World, pool: WarmPool) -> None:
    size(world, 0)
    pool.keep_full()
    calls = len(world.cluster.calls)
    pool.keep_full()
    assert len(world.cluster.calls) == calls
    assert warm(world) == []


def test_a_warm_job_has_a_secret_of_its_own_that_goes_with_it_and_no_rights(world: World, pool: WarmPool) -> None:
    size(world, 2)
    pool.keep_full()
    secrets = {body["metadata"]["name"]: body for body in world.cluster.all(SECRETS)}
    for job in warm(world):
        name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]
        assert [owner["uid"] for owner in secrets[name]["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
        assert base64.b64decode(secrets[name]["data"]["secret"]).decode() == f"secret of {name}"
        assert spec["automountServiceAccountToken"] is False
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert spec["restartPolicy"] == "Never"
        assert job["spec"]["backoffLimit"] == 0
        assert f"secret of {name}" not in json.dumps(job)
    assert len(warm(world)) == 2


def test_a_warm_pod_is_told_to_wait_and_is_ready_when_its_port_is_open(world: World, pool: WarmPool) -> None:
    pool.keep_full()
    template = warm(world)[0]["spec"]["template"]
    given = json.loads(template["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given == {"version": 1, "kind": "warmAutomation", "waitSeconds": 1800, "port": 8443}
    (container,) = template["spec"]["containers"]
    assert container["readinessProbe"]["tcpSocket"] == {"port": "handover"}
    assert container["ports"] == [{"name": "handover", "containerPort": 8443}]
    assert template["metadata"]["labels"][constants.LABEL_WARM_POOL] == "automations"


def test_a_warm_pod_keeps_no_node_that_nothing_else_needs(world: World, pool: WarmPool) -> None:
    pool.keep_full()
    annotations = warm(world)[0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "true"


def test_an_automation_goes_to_a_ready_pod_and_gets_no_job(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    world.clock.forward(seconds=60)
    body = automation(aKeyOfALaterVersion={"täglich": 1})
    answer = client.run_automation(body)
    ((address, name, credentials, document),) = pods.given
    (job,) = warm(world)
    assert (address, name, document) == ("10.0.0.0", job["metadata"]["name"], body)
    assert credentials == pods.credentials(name)
    assert answer.reason == "Automation test-connection-shop-x1 has been started"
    assert answer.run_id == job["spec"]["template"]["metadata"]["annotations"][constants.ANNOTATION_RUN_ID]
    assert cold(world) == []
    assert job["metadata"]["annotations"][constants.ANNOTATION_ENTITY_NAME] == "test-connection-shop-x1"
    assert job["spec"]["activeDeadlineSeconds"] == 60 + 100
    assert token() not in json.dumps(world.cluster.all(JOBS))


def test_a_pod_that_was_taken_is_replaced_and_never_taken_again(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    client.run_automation(automation())
    (first,) = warm(world)
    pool.keep_full()
    assert len(warm(world)) == 2
    assert waiting(world) != [first["metadata"]["name"]]
    client.run_automation(automation())  # its successor is not ready yet
    assert len(pods.given) == 1
    assert len(cold(world)) == 1


def test_replicas_do_not_overfill_the_pool(world: World, pool: WarmPool, pods: Pods) -> None:
    size(world, 3)
    world.cluster.interleave("create", another(world, pods).keep_full, plural="jobs")
    pool.keep_full()
    another(world, pods).keep_full()
    assert len(waiting(world)) == 3


def test_two_automations_never_get_the_same_pod(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    faster = client_of(world, another(world, pods))
    world.cluster.interleave("merge_patch", lambda: faster.run_automation(automation("faster")), plural="jobs")
    client.run_automation(automation("slower"))
    assert [document["name"] for _, _, _, document in pods.given] == ["faster"]
    assert [job["metadata"]["annotations"][constants.ANNOTATION_ENTITY_NAME] for job in cold(world)] == ["slower"]


def test_a_pod_that_does_not_take_it_is_stopped_and_a_job_made(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    pods.result = "refused"
    client.run_automation(automation())
    assert len(cold(world)) == 1
    assert warm(world)[0]["spec"]["activeDeadlineSeconds"] == 1


def test_a_pod_that_may_have_begun_has_ended_before_a_job_is_made(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    pods.result = "unknown"
    seen: list[Body] = []

    def end_on_the_second_look() -> None:
        seen.append(warm(world)[0])
        assert cold(world) == []
        failed = {"conditions": [{"type": "Failed", "status": "True"}]}
        world.cluster.put(JOBS, warm(world)[0] | {"status": failed})

    def begin_to_stop() -> None:
        world.cluster.interleave("get", lambda: None, plural="jobs")
        world.cluster.interleave("get", end_on_the_second_look, plural="jobs")

    pods.meanwhile = begin_to_stop
    client.run_automation(automation())
    assert [job["spec"]["activeDeadlineSeconds"] for job in seen] == [1]
    assert len(cold(world)) == 1


def test_a_pod_that_may_have_begun_and_does_not_end_keeps_nobody_waiting_for_long(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    pods.result = "unknown"
    begun = world.clock.now()
    client.run_automation(automation())
    assert 2.9 < (world.clock.now() - begun).total_seconds() < 3.1
    assert len(cold(world)) == 1


def test_a_pod_that_may_have_begun_and_cannot_be_stopped_is_not_doubled(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    pods.result = "unknown"
    pods.meanwhile = lambda: world.cluster.fail("merge_patch", Unavailable("away", code=503), plural="jobs")
    with pytest.raises(Unavailable):
        client.run_automation(automation())
    assert cold(world) == []


@pytest.mark.parametrize("verb", ["list", "merge_patch"])
def test_a_fault_before_the_hand_over_costs_only_the_warmth(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods, verb: str
) -> None:
    pool.keep_full()
    start(world)
    world.cluster.fail(verb, Unavailable("away", code=503))
    client.run_automation(automation())
    assert pods.given == []
    assert len(cold(world)) == 1


def test_a_service_with_a_pod_template_of_its_own_gets_its_own_pod(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    template = PodTemplate.model_validate({"spec": {"nodeSelector": {"zone": "a"}}})
    layers = [ServiceLayer(name="shop", pod_template=template)]
    world.settings = world.settings.model_copy(update={"pod_templates_by_service": layers})
    pool.keep_full()
    start(world)
    client.run_automation(automation())
    assert pods.given == []
    assert cold(world)[0]["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "a"}


def test_pods_of_another_image_are_replaced_and_not_taken(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    (old,) = waiting(world)
    template = PodTemplate.model_validate({"container": {"image": "runner:new"}})
    world.settings = world.settings.model_copy(update={"pod_template": template})
    client.run_automation(automation())
    assert pods.given == []
    pool.keep_full()
    assert waiting(world) == [old]  # another replica may have made it by newer settings
    world.clock.forward(minutes=3)
    pool.keep_full()
    (new,) = waiting(world)
    assert new != old
    retired = next(job for job in warm(world) if job["metadata"]["name"] == old)
    assert (retired["spec"]["activeDeadlineSeconds"], retired["spec"]["ttlSecondsAfterFinished"]) == (1, 0)


def test_a_pool_that_is_switched_off_is_emptied_also_by_a_gateway_that_has_just_started(
    world: World, pool: WarmPool, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    size(world, 0)
    world.clock.forward(minutes=3)
    another(world, pods).keep_full()
    assert waiting(world) == []


def test_replicas_with_different_settings_do_not_undo_each_others_work(
    world: World, pool: WarmPool, pods: Pods
) -> None:
    newer = world.settings.model_copy(update={"warm_automations": 2})
    ahead = WarmPool(world.cluster, objects.NAMESPACE, lambda: newer, world.clock, pods)
    for _ in range(30):
        pool.keep_full()
        ahead.keep_full()
        world.clock.forward(seconds=5)
    assert len(warm(world)) == len(waiting(world)) == 2


def test_a_pod_that_is_taken_while_it_is_retired_works_on(
    world: World, pool: WarmPool, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    pool.keep_full()
    start(world)
    size(world, 0)
    world.clock.forward(minutes=3)

    def take() -> None:
        size(world, 1)
        client.run_automation(automation())

    world.cluster.interleave("merge_patch", take, plural="jobs")
    pool.keep_full()
    assert len(pods.given) == 1
    assert warm(world)[0]["spec"]["activeDeadlineSeconds"] == 180 + 100


@pytest.mark.parametrize("error", [Conflict("taken", code=409), NotFound("gone", code=404)])
def test_a_name_that_is_taken_or_a_job_that_has_gone_is_no_failure(
    world: World, pool: WarmPool, error: Exception
) -> None:
    if isinstance(error, Conflict):
        world.cluster.fail("create", error, plural="jobs")
    else:
        pool.keep_full()
        size(world, 0)
        world.clock.forward(minutes=3)
        world.cluster.fail("merge_patch", error, plural="jobs")
    pool.keep_full()


def test_what_is_wrong_with_an_automation_is_told_as_without_a_pool(
    world: World, client: K8sPipelineServiceClient, pods: Pods
) -> None:
    with pytest.raises(Rejected, match="Missing parameter 'id'"):
        client.run_automation(automation(id=None))
    assert pods.given == []
    assert not world.cluster.writes
