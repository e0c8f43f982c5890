"""Faults of the API server under the gateway, at each call of each operation; the rest the real API server does.

The whole product of calls and faults would be some hundred cases more. Left out is what cannot differ: a read has
no effect that its fault could follow, and 500 and 503 are the same to the gateway. So 503 comes before the effect
of a write, 500 after it. What takes as long as the time-outs take runs all at once.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.cache.projections import READERS
from testing.fault_proxy import Fault, FaultProxy, Rule
from testing.gateway_process import GatewayProcess
from testing.pipeline_state import assert_becomes, names_of
from testing.server_client import Reply
from testing.waiting import wait_for
from tests.integration.apiserver.gateway.operations import OPERATIONS, Environment, Step, steps_of
from tests.integration.apiserver.gateway.reference import Reference

TEXTS: Final = {
    500: "The ingestion gateway failed. Its log has the details.",
    503: "The ingestion gateway cannot reach Kubernetes in time. Try again later.",
}
ON_READS: Final = {"429": Fault(429), "500": Fault(500), "cut": Fault("cut")}
ON_WRITES: Final = {
    "409": Fault(409),
    "429": Fault(429),
    "503": Fault(503),
    "500 after the effect": Fault(500, after_effect=True),
    "cut": Fault("cut"),
    "answer lost": Fault("cut", after_effect=True),
}
LATE: Final = {"late": Fault("pass", delay=6.5), "answer late": Fault("pass", after_effect=True, delay=6.5)}
"""The gateway waits 5 s for one call."""


STEPS: Final = [
    pytest.param(operation, step, id=f"{operation}: {step}")
    for operation, found in OPERATIONS.items()
    for step in found.steps
]


@dataclass(frozen=True)
class FaultRunner:
    """A gateway behind the proxy, and what its operations come to where nothing fails."""

    proxy: FaultProxy
    environment: Environment
    reference: Reference

    def run(self, operation: str, rule: Rule) -> Reply:
        """Call an operation with a rule in force, then once more without; return the first answer.

        Asserts that it came in time and is in the contract, and that the second call ends where one call ends when
        nothing fails.
        """
        called = OPERATIONS[operation]
        state, answer = self.reference.of(operation)
        name = self.reference.prepare(operation)
        rule.naming = names_of(name)
        with self.proxy.failing(rule), self.environment.another_server() as server:
            begin = time.monotonic()
            reply = called.call(server, name)
            seconds = time.monotonic() - begin
            if rule.fault.delay:
                self.proxy.wait_until_idle(timeout=30)
        assert rule.struck.is_set(), "the fault has hit nothing"
        assert seconds < called.bound
        assert reply.code == 200 or reply.error == TEXTS[reply.code]
        with self.environment.another_server() as server:
            again = called.call(server, name)
        assert again.code in called.repeated, again.body
        if called.is_read:
            assert again.json == answer.json
        assert_becomes(state, self.environment.api, self.environment.namespace, name)
        return reply

    def run_all(self, cases: dict[str, tuple[str, Step, Fault]], *, at_once: bool) -> dict[str, BaseException]:
        """Run several faults and return what went wrong with which."""
        with ThreadPoolExecutor(len(cases) if at_once else 1) as pool:
            running = {
                title: pool.submit(self.run, operation, rule_for(step, fault))
                for title, (operation, step, fault) in cases.items()
            }
        return {title: error for title, done in running.items() if (error := done.exception())}


def rule_for(step: Step, fault: Fault, *, times: int | None = 1) -> Rule:
    return Rule(fault, step.method, step.target, nth=step.nth, times=times)


@pytest.fixture(scope="module")
def runner(faults: FaultProxy, proxied: GatewayProcess, api: KubernetesCluster, namespace: str) -> FaultRunner:
    environment = Environment(proxied.port, api, namespace)
    wait_for("the watches of the cache", lambda: faults.open_streams == len(READERS), timeout=20)
    return FaultRunner(faults, environment, Reference(environment))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_makes_the_calls_that_are_listed_for_it(runner: FaultRunner, operation: str) -> None:
    name = runner.reference.prepare(operation)
    with runner.proxy.recording() as calls, runner.environment.another_server() as server:
        OPERATIONS[operation].call(server, name)
    steps = steps_of(calls)
    assert steps in (OPERATIONS[operation].steps, OPERATIONS[operation].after_conflict), steps


@pytest.mark.parametrize(("operation", "step"), STEPS)
def test_the_same_call_repairs_what_a_fault_has_left(runner: FaultRunner, operation: str, step: Step) -> None:
    faults = ON_WRITES if step.is_write else ON_READS
    cases = {title: (operation, step, fault) for title, fault in faults.items()}
    # The pipeline that a call is for identifies its fault, unless all calls share one pipeline.
    assert runner.run_all(cases, at_once=not OPERATIONS[operation].is_read) == {}


@pytest.mark.parametrize("operation", [name for name, found in OPERATIONS.items() if found.steps])
def test_a_fault_that_lasts_is_a_503(runner: FaultRunner, operation: str) -> None:
    last = OPERATIONS[operation].steps[-1]
    assert runner.run(operation, rule_for(last, Fault(503), times=None)).code == 503


def test_the_same_call_repairs_what_a_late_call_has_left(runner: FaultRunner) -> None:
    writes = {
        f"{operation}: {step}: {title}": (operation, step, fault)
        for operation, found in OPERATIONS.items()
        for step in found.steps
        for title, fault in LATE.items()
        if step.is_write
    }
    reads = {
        operation: (operation, found.steps[-1], LATE["answer late"])
        for operation, found in OPERATIONS.items()
        if found.is_read and found.steps
    }
    assert runner.run_all(writes | reads, at_once=True) == {}
