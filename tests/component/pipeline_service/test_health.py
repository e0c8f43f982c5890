import pytest

from ingestion_operator.api.service import ServiceStatus
from ingestion_operator.errors import Forbidden, NotFound, Unavailable
from ingestion_operator.pipeline_service.health import PERMISSIONS
from ingestion_operator.ports import LEASES, NODES
from ingestion_operator.runtime.heartbeat import lease_body
from testing import objects
from testing.objects import NAMESPACE
from testing.simulation import Simulation


@pytest.fixture
def healthy(simulation: Simulation) -> Simulation:
    simulation.cluster.put(LEASES, lease_body(NAMESPACE, simulation.clock.now()))
    return simulation


def test_all_is_well(healthy: Simulation) -> None:
    assert healthy.client.get_service_status() == ServiceStatus(healthy=True, version="2.0.6.0")


@pytest.mark.parametrize(("kind", "subresource", "verbs"), PERMISSIONS)
def test_each_permission_that_is_missing_is_named(
    healthy: Simulation, kind: object, subresource: str, verbs: tuple[str, ...]
) -> None:
    resource = "/".join(filter(None, (getattr(kind, "plural", ""), subresource)))
    for verb in verbs:
        if kind == LEASES or (verb == "watch" and not healthy.is_cached):
            continue  # the Lease is read, which shows whether it may be
        healthy.cluster.denied = {(verb, resource)}
        status = healthy.client.get_service_status()
        assert not status.healthy
        assert [problem for problem in status.problems if f"to {verb} {resource} in" in problem] == status.problems


def test_a_missing_crd_is_named_with_its_remedy(healthy: Simulation) -> None:
    healthy.cluster.fail("list", NotFound("no such kind", code=404))
    assert "apply the CRD" in healthy.client.get_service_status().problems[0]


def test_an_api_server_that_is_away_is_named(healthy: Simulation) -> None:
    healthy.cluster.fail("list", Unavailable("connection refused"))
    assert healthy.client.get_service_status().problems == ["The Kubernetes API cannot be reached: connection refused"]


def test_an_operator_that_never_ran_is_named(simulation: Simulation) -> None:
    assert "has not run yet" in simulation.client.get_service_status().problems[0]


@pytest.mark.parametrize(("seconds", "is_healthy"), [(29, True), (31, False)])
def test_an_operator_counts_as_down_when_its_lease_has_run_out(
    healthy: Simulation, seconds: int, is_healthy: bool
) -> None:
    healthy.clock.forward(seconds=seconds)
    status = healthy.client.get_service_status()
    assert status.healthy is is_healthy
    assert is_healthy or "down or stuck" in status.problems[0]


def test_a_lease_that_may_not_be_read_is_a_problem_of_its_own(healthy: Simulation) -> None:
    healthy.cluster.fail("get", Forbidden("no", code=403))
    assert "cannot be read (HTTP 403)" in healthy.client.get_service_status().problems[0]


def test_the_lease_may_be_in_the_operators_own_namespace(simulation: Simulation) -> None:
    simulation.settings = objects.settings(pipelineService={"operatorNamespace": "ops"})
    simulation.cluster.put(LEASES, lease_body("ops", simulation.clock.now()))
    assert simulation.client.get_service_status().healthy


def test_the_address_is_that_of_the_settings(simulation: Simulation) -> None:
    simulation.settings = objects.settings(pipelineService={"hostIp": "203.0.113.7"})
    assert simulation.client.request_get_host_ip() == "203.0.113.7"


def test_the_address_is_that_of_the_nodes_by_default(simulation: Simulation) -> None:
    assert simulation.client.request_get_host_ip() == "unknown"
    for number in (2, 1):
        addresses = [
            {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "ExternalIP", "address": f"203.0.113.{number}"},
        ]
        simulation.cluster.put(
            NODES, {"metadata": {"name": f"n{number}", "namespace": ""}, "status": {"addresses": addresses}}
        )
    assert simulation.client.request_get_host_ip() == "203.0.113.1, 203.0.113.2"


def test_the_address_is_unknown_without_the_right_to_list_nodes(simulation: Simulation) -> None:
    simulation.cluster.fail("list", Forbidden("no", code=403))
    assert simulation.client.request_get_host_ip() == "unknown"
