"""A gateway killed between two writes: another one, asked the same, completes what was begun."""

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster
from testing.fault_proxy import Fault, FaultProxy, Rule
from testing.gateway_process import GatewayProcess
from testing.pipeline_state import assert_becomes
from testing.server_client import Reply
from tests.integration.apiserver.gateway.conftest import StartGateway
from tests.integration.apiserver.gateway.operations import OPERATIONS, Environment
from tests.integration.apiserver.gateway.reference import Reference

CASES = [
    pytest.param(operation, number + 1, id=f"{operation}, after write {number + 1}")
    for operation in ("deploy", "redeploy", "trigger with an override")
    for number, _ in enumerate(step for step in OPERATIONS[operation].steps if step.is_write)
]
HELD_BACK = Fault("cut", after_effect=True, delay=30)
"""The API server has written, and the gateway still waits to hear of it: here it is killed."""


@pytest.fixture(scope="module")
def survivor(start: StartGateway, kubeconfig: Path, api: KubernetesCluster, namespace: str) -> Iterator[Environment]:
    with start(kubeconfig=kubeconfig) as gateway:
        yield Environment(gateway.port, api, namespace)


@pytest.fixture(scope="module")
def reference(survivor: Environment) -> Reference:
    return Reference(survivor)


@pytest.fixture
def victim(start: StartGateway, faults: FaultProxy, folder: Path) -> Iterator[GatewayProcess]:
    with start(kubeconfig=faults.write_kubeconfig(folder / "proxied")) as gateway:
        yield gateway


@pytest.mark.parametrize(("operation", "write"), CASES)
def test_another_gateway_completes_what_a_killed_one_has_begun(
    victim: GatewayProcess, survivor: Environment, reference: Reference, faults: FaultProxy, operation: str, write: int
) -> None:
    call = OPERATIONS[operation].call
    state, _ = reference.of(operation)
    name = reference.prepare(operation)

    def call_the_victim() -> Reply:
        with Environment(victim.port, survivor.api, survivor.namespace).another_server() as server:
            return call(server, name)

    held_back = Rule(HELD_BACK, method="POST|PATCH|DELETE", nth=write)
    with faults.failing(held_back), faults.recording() as calls, ThreadPoolExecutor(1) as pool:
        called = pool.submit(call_the_victim)
        assert held_back.struck.wait(20)
        victim.process.kill()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            called.result()
    assert sum(made.method != "GET" for made in calls) == write
    with survivor.another_server() as server:
        assert call(server, name).message
    assert_becomes(state, survivor.api, survivor.namespace, name)
