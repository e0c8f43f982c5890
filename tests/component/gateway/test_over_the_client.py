"""A server's calls through HTTP and the real client to an API server in memory, with the operator beside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast
from uuid import UUID

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ingestion_operator.errors import Unavailable
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from ingestion_operator.gateway.service import PipelineService
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from testing import objects
from testing.entities import OTHER_ID, airflow, entity, token
from testing.gateway import run_gateway
from testing.server_client import ServerClient
from testing.simulation import Simulation

RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
NAMES = ["nightly", "a b", "a.b", "A_B", "täglich/ü – v2", "🐘" * 256]  # noqa: RUF001


class Environment:
    """Holds the simulation behind a gateway; a test may put a new one."""

    def __init__(self) -> None:
        self.simulation = Simulation()

    def __getattr__(self, method: str) -> Any:
        return getattr(self.simulation.client, method)


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment()


@pytest.fixture(scope="module")
def port(environment: Environment, credentials_folder: Path) -> Iterator[int]:
    gateway = Gateway(
        cast("PipelineService", environment), lambda: environment.simulation.settings, Credentials(credentials_folder)
    )
    with run_gateway(gateway) as running:
        yield running.port


@pytest.fixture
def simulation(environment: Environment) -> Simulation:
    environment.simulation = Simulation()
    return environment.simulation


@pytest.fixture(params=["old", "new"])
def server(request: pytest.FixtureRequest, port: int, simulation: Simulation) -> Iterator[ServerClient]:
    client = ServerClient.old(port) if request.param == "old" else ServerClient.new(port)
    assert simulation.cluster.calls == []
    yield client
    client.close()


def _pipeline(simulation: Simulation, name: str) -> dict[str, Any]:
    (found,) = [body for body in simulation.cluster.all(PIPELINES) if body["metadata"]["name"] == resource_name(name)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_lives_from_deploy_to_delete(server: ServerClient, simulation: Simulation, name: str) -> None:
    assert server.queued(name).code == server.kill(name).code == server.enable(name).code == 404
    assert server.deploy(entity(name)).code == 200
    assert server.queued(name).json == []
    assert server.logs(name).code == server.kill(name).code == 404

    assert server.trigger(name, {"pipelineRunId": RUN}).code == 200
    assert server.trigger(name, {"pipelineRunId": RUN}).code == 200
    (queued,) = server.queued(name).json
    assert (queued["runId"], queued["pipelineState"]) == (RUN, "queued")
    assert queued["startDate"] is queued["endDate"] is None
    assert server.logs(name).json["total"] == 1
    assert server.kill(name).code == 200
    simulation.operate(resource_name(name))
    assert server.queued(name).json == []

    assert server.disable(name).code == 200
    assert server.deploy(entity(name, displayName="Later")).code == 200
    assert _pipeline(simulation, name)["spec"]["suspend"] is True
    assert server.trigger(name).code == 200
    assert server.enable(name).code == 200
    assert _pipeline(simulation, name)["spec"]["suspend"] is False

    assert server.delete(name).code == server.delete(name).code == 200
    assert simulation.cluster.all(PIPELINES) == simulation.cluster.all(JOBS) == []
    assert server.trigger(name).code == server.queued(name).code == 404


def test_an_on_demand_pipeline_can_be_toggled_and_run(server: ServerClient) -> None:
    server.deploy(entity(airflowConfig=airflow(scheduleInterval=None)))
    assert server.disable("nightly").code == server.enable("nightly").code == server.trigger("nightly").code == 200


def test_the_same_deploy_twice_writes_once(server: ServerClient, simulation: Simulation) -> None:
    server.deploy(entity())
    before = len(simulation.cluster.writes)
    assert server.deploy(entity()).code == 200
    assert len(simulation.cluster.writes) == before


def test_the_name_of_another_services_pipeline_is_refused(server: ServerClient, simulation: Simulation) -> None:
    server.deploy(entity(service="shop"))
    reply = server.deploy(entity(service="other", id=OTHER_ID))
    assert reply.code == 400
    assert "shop.nightly" in reply.error
    assert _pipeline(simulation, "nightly")["spec"]["service"]["name"] == "shop"


def test_a_wrong_entity_is_refused_with_a_line_for_each_field(server: ServerClient, simulation: Simulation) -> None:
    reply = server.deploy(entity(pipelineType="nothing", sourceConfig=None))
    assert reply.code == 400
    assert len(reply.error.splitlines()) == 2
    assert "'sourceConfig'" in reply.error
    assert "'pipelineType'" in reply.error
    assert simulation.cluster.writes == []


def test_the_bots_token_is_in_a_secret_and_nowhere_else(server: ServerClient, simulation: Simulation) -> None:
    server.deploy(entity(jwt=token(serial=7)))
    server.trigger("nightly")
    for kind in (PIPELINES, JOBS):
        assert token(serial=7) not in json.dumps(simulation.cluster.all(kind))
    assert len(simulation.cluster.all(SECRETS)) == 2


@pytest.mark.parametrize("verb", ["get", "list", "create", "merge_patch"])
def test_a_deploy_that_met_a_fault_is_completed_by_the_next(
    server: ServerClient, simulation: Simulation, verb: str
) -> None:
    if verb == "merge_patch":
        server.deploy(entity())
    simulation.cluster.fail(verb, Unavailable("away", code=503))
    assert server.deploy(entity(displayName="Later")).code == 503
    assert server.deploy(entity(displayName="Later")).code == 200
    assert server.deploy(entity(displayName="Later")).message == (
        f"Pipeline nightly has been unchanged as IngestionPipeline {resource_name('nightly')}"
    )


def test_an_outage_is_a_503_for_everything_but_health(server: ServerClient, simulation: Simulation) -> None:
    server.deploy(entity())
    for verb in ("get", "list", "create", "merge_patch", "delete"):
        simulation.cluster.fail(verb, Unavailable("away", code=503), times=1000)
    for reply in (
        server.deploy(entity(displayName="Later")), server.trigger("nightly"), server.enable("nightly"),
        server.kill("nightly"), server.delete("nightly"), server.queued("nightly"), server.logs("nightly"),
    ):  # fmt: skip
        assert reply.code == 503
    assert server.read("health-auth").code == 200


def test_the_address_is_unknown_unless_it_is_set(server: ServerClient, simulation: Simulation) -> None:
    assert server.read("ip").json == {"ip": "unknown"}
    simulation.settings = objects.settings(pipelineService={"hostIp": "198.51.100.4"})
    assert server.read("ip").json == {"ip": "198.51.100.4"}


class ServerMachine(RuleBasedStateMachine):
    """A model of the contract beside a gateway: every answer is compared, and what the cluster holds."""

    environment: ClassVar[Environment]
    client: ClassVar[ServerClient]
    names = st.sampled_from(NAMES)

    def __init__(self) -> None:
        super().__init__()
        self.environment.simulation = Simulation()
        self.paused: dict[str, bool] = {}
        self.service: dict[str, str] = {}
        self.runs: dict[str, list[str]] = {}
        self.waiting: set[str] = set()

    @rule(name=names, service=st.sampled_from(["shop", "other"]), paused=st.booleans())
    def deploy(self, name: str, service: str, paused: bool) -> None:
        body = entity(name, service=service, id=f"{service}-id", airflowConfig=airflow(pausePipeline=paused))
        reply = self.client.deploy(body)
        if self.service.setdefault(name, service) == service:
            assert reply.code == 200
            self.paused.setdefault(name, paused)
            self.runs.setdefault(name, [])
        else:
            assert reply.code == 400
            assert f"{self.service[name]}." in reply.error

    @rule(name=names, run=st.uuids(version=4))
    def trigger(self, name: str, run: UUID) -> None:
        self.environment.simulation.clock.forward(seconds=1)
        assert self.client.trigger(name, {"pipelineRunId": str(run)}).code == (200 if name in self.runs else 404)
        if name in self.runs and str(run) not in self.runs[name]:
            self.runs[name].append(str(run))
            self.waiting.add(str(run))

    @precondition(lambda self: any(self.runs.values()))
    @rule(data=st.data())
    def trigger_again(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(name for name, runs in self.runs.items() if runs)))
        run = data.draw(st.sampled_from(self.runs[name]))
        assert self.client.trigger(name, {"pipelineRunId": run}).code == 200

    @rule(name=names, enabled=st.booleans())
    def toggle(self, name: str, enabled: bool) -> None:
        reply = self.client.enable(name) if enabled else self.client.disable(name)
        assert reply.code == (200 if name in self.paused else 404)
        if name in self.paused:
            self.paused[name] = not enabled

    @rule(name=names)
    def kill(self, name: str) -> None:
        ended = self.waiting.intersection(self.runs.get(name, []))
        assert self.client.kill(name).code == (200 if ended else 404)
        self.waiting -= ended

    @rule(name=names)
    def delete(self, name: str) -> None:
        assert self.client.delete(name).code == 200
        for known in (self.paused, self.service, self.runs):
            known.pop(name, None)

    @rule(name=names)
    def status(self, name: str) -> None:
        everything = self.client.read("status", {"dag_id": name})
        queued = self.client.queued(name)
        if name not in self.runs:
            assert everything.code == queued.code == 404
            return
        newest_first = self.runs[name][::-1]
        assert [item["runId"] for item in everything.json] == newest_first[:10]
        assert [item["runId"] for item in queued.json] == [run for run in newest_first if run in self.waiting][:10]

    @invariant()
    def the_cluster_holds_what_was_asked_for(self) -> None:
        bodies = self.environment.simulation.cluster.all(PIPELINES)
        held = {body["metadata"]["name"]: bool(body["spec"].get("suspend")) for body in bodies}
        assert held == {resource_name(name): paused for name, paused in self.paused.items()}


def test_any_sequence_of_calls_follows_the_contract(environment: Environment, port: int) -> None:
    ServerMachine.environment, ServerMachine.client = environment, ServerClient.old(port)
    run_state_machine_as_test(
        ServerMachine, settings=hypothesis_settings(max_examples=25, stateful_step_count=30, deadline=None)
    )
    ServerMachine.client.close()
