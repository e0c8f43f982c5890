"""Runs from their request to their end, with the operator at work, over an API server in memory."""

import base64
import json
import uuid
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, NotFound, OperatorError, Rejected, Unavailable
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.runs.admission import HOLD_LIMIT
from testing.entities import airflow, entity
from testing.objects import NAMESPACE, Body
from testing.simulated_jobs import (
    RESOURCE,
    RUN,
    add_pod,
    allow_queued,
    finish,
    is_suspended,
    job,
    jobs,
    scheduled,
)
from testing.simulation import Simulation


class TestRun:
    def test_a_run_is_a_suspended_job_with_its_id(self, simulation: Simulation) -> None:
        simulation.client.deploy_pipeline(entity())
        assert simulation.client.run_pipeline("nightly", run_id=RUN).run_id == RUN
        body = job(simulation, RUN)
        assert body["spec"]["suspend"] is True
        owner = body["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"]) == (constants.KIND, RESOURCE)
        assert len(body["metadata"]["name"]) <= 63

    @pytest.mark.parametrize("changes", [{"enabled": False}, {"airflowConfig": airflow(scheduleInterval=None)}])
    def test_paused_and_on_demand_pipelines_run_after_a_deploy(self, simulation: Simulation, changes: Body) -> None:
        simulation.client.deploy_pipeline(entity(**changes))
        run = simulation.client.run_pipeline("nightly").run_id
        simulation.operate(RESOURCE)
        assert job(simulation, str(run))["spec"]["suspend"] is False

    def test_a_run_without_an_id_gets_a_uuid(self, deployed: Simulation) -> None:
        run = str(deployed.client.run_pipeline("nightly").run_id)
        assert str(uuid.UUID(run)) == run

    def test_the_same_id_twice_is_one_job(self, deployed: Simulation) -> None:
        for spelling in (RUN, RUN.upper(), f"{{{RUN}}}"):
            assert deployed.client.run_pipeline("nightly", run_id=spelling).run_id == RUN
        assert len(jobs(deployed)) == 1

    def test_the_same_id_starts_nothing_after_its_job_has_gone(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        finish(deployed, RUN)
        deployed.operate(RESOURCE)
        deployed.cluster.delete(JOBS, NAMESPACE, job(deployed, RUN)["metadata"]["name"])
        deployed.client.run_pipeline("nightly", run_id=RUN)
        assert jobs(deployed) == []

    def test_an_answer_that_was_lost_costs_no_second_job(self, deployed: Simulation) -> None:
        deployed.cluster.fail("create", Unavailable("no answer"), plural=JOBS.plural, after=True)
        deployed.client.run_pipeline("nightly")
        assert len(jobs(deployed)) == 1

    def test_an_id_that_is_not_a_uuid_is_refused(self, deployed: Simulation) -> None:
        with pytest.raises(Rejected, match="pipelineRunId"):
            deployed.client.run_pipeline("nightly", run_id="manual__2026")

    def test_an_unknown_pipeline_is_not_found(self, deployed: Simulation) -> None:
        with pytest.raises(NotFound):
            deployed.client.run_pipeline("weekly")

    def test_a_pipeline_that_is_being_deleted_is_not_found(self, deployed: Simulation) -> None:
        deployed.cluster.edit(
            PIPELINES, NAMESPACE, RESOURCE, lambda b: b["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z")
        )
        with pytest.raises(NotFound):
            deployed.client.run_pipeline("nightly")

    def test_a_queue_of_kueue_admits_instead_of_the_operator(self, deployed: Simulation) -> None:
        queue = {constants.LABEL_QUEUE_NAME: "team-a"}
        deployed.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body["metadata"]["labels"].update(queue))
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        assert job(deployed, RUN)["metadata"]["labels"].items() >= queue.items()
        assert job(deployed, RUN)["spec"]["suspend"] is True


class TestOverrides:
    @staticmethod
    def config(simulation: Simulation, run_id: str) -> Any:
        secret = simulation.cluster.get(SECRETS, NAMESPACE, job(simulation, run_id)["metadata"]["name"])
        assert secret is not None
        assert secret["metadata"]["ownerReferences"][0]["uid"] == job(simulation, run_id)["metadata"]["uid"]
        return json.loads(base64.b64decode(secret["data"]["source-config"]))["config"]

    def test_they_hold_for_one_run_and_lie_in_a_secret_of_its_job(self, deployed: Simulation) -> None:
        override = {"includeTables": False, "apiKey": "geheim"}
        deployed.client.run_pipeline("nightly", run_id=RUN, source_config_override=override)
        base = {"type": "DatabaseMetadata", "markDeletedTables": None}
        assert self.config(deployed, RUN) == base | override
        volumes = job(deployed, RUN)["spec"]["template"]["spec"]["volumes"]
        assert job(deployed, RUN)["metadata"]["name"] in json.dumps(volumes)
        assert "geheim" not in json.dumps(jobs(deployed))
        deployed.operate(RESOURCE)
        assert job(deployed, RUN)["spec"]["suspend"] is False

    def test_those_of_an_application_go_over_its_own_configuration(self, simulation: Simulation) -> None:
        app = {"type": "Application", "appConfig": {"type": "Automator", "actions": [1], "resources": 2}}
        simulation.client.deploy_pipeline(entity(sourceConfig={"config": app}))
        simulation.client.run_pipeline("nightly", run_id=RUN, config_override={"actions": [3]})
        assert self.config(simulation, RUN)["appConfig"] == {"type": "Automator", "actions": [3], "resources": 2}

    @pytest.mark.parametrize("lost", ["before", "after"])
    @pytest.mark.parametrize(("verb", "plural"), [("create", "jobs"), ("create", "secrets"), ("merge_patch", "jobs")])
    def test_the_same_call_completes_a_run_after_a_crash(
        self, deployed: Simulation, verb: str, plural: str, lost: str
    ) -> None:
        deployed.cluster.fail(verb, OperatorError("killed"), plural=plural, after=lost == "after")
        override = {"includeTables": False}
        with pytest.raises(OperatorError, match="killed"):
            deployed.client.run_pipeline("nightly", run_id=RUN, source_config_override=override)
        deployed.operate(RESOURCE)
        deployed.client.run_pipeline("nightly", run_id=RUN, source_config_override=override)
        assert self.config(deployed, RUN)["includeTables"] is False
        deployed.operate(RESOURCE)
        assert [is_suspended(deployed, j["metadata"]["name"]) for j in jobs(deployed)] == [False]

    def test_a_run_whose_secret_never_came_fails_unstarted(self, deployed: Simulation) -> None:
        deployed.cluster.fail("create", OperatorError("killed"), plural=SECRETS.plural)
        with pytest.raises(OperatorError):
            deployed.client.run_pipeline("nightly", run_id=RUN, source_config_override={"x": 1})
        deployed.operate(RESOURCE)
        assert job(deployed, RUN)["spec"]["suspend"] is True
        deployed.clock.forward(seconds=HOLD_LIMIT.total_seconds())
        deployed.operate(RESOURCE)
        assert jobs(deployed) == []
        assert [(s.run_id, s.pipeline_state) for s in deployed.client.get_pipeline_status("nightly")] == [
            (RUN, "stopped")
        ]

    def test_they_are_refused_without_a_configuration(self, deployed: Simulation) -> None:
        deployed.cluster.delete(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
        with pytest.raises(Rejected, match="deploy the pipeline again"):
            deployed.client.run_pipeline("nightly", source_config_override={"x": 1})


class TestQueue:
    def start(self, simulation: Simulation, count: int) -> list[str]:
        ids = []
        for _ in range(count):
            ids.append(str(simulation.client.run_pipeline("nightly").run_id))
            simulation.clock.forward(microseconds=1)
        return ids

    def admitted(self, simulation: Simulation, ids: list[str]) -> list[bool]:
        return [not job(simulation, run)["spec"]["suspend"] for run in ids]

    def test_one_run_at_a_time_oldest_first(self, deployed: Simulation) -> None:
        ids = self.start(deployed, 3)
        deployed.operate(RESOURCE)
        assert self.admitted(deployed, ids) == [True, False, False]
        finish(deployed, ids[0])
        deployed.operate(RESOURCE)
        assert self.admitted(deployed, ids) == [True, True, False]

    def test_as_many_at_once_as_the_entity_allows(self, simulation: Simulation) -> None:
        simulation.client.deploy_pipeline(entity(airflowConfig=airflow(maxActiveRuns=2, concurrency=5)))
        ids = self.start(simulation, 4)
        simulation.operate(RESOURCE)
        assert self.admitted(simulation, ids) == [True, True, False, False]

    def test_a_run_that_the_queue_has_no_room_for_is_refused(self, deployed: Simulation) -> None:
        allow_queued(deployed, 3)
        ids = self.start(deployed, 3)
        before = len(deployed.cluster.writes)
        with pytest.raises(Rejected, match=r"concurrency\.maxQueuedRuns \(3\).*raise maxQueuedRuns") as caught:
            deployed.client.run_pipeline("nightly", source_config_override={"x": 1})
        assert caught.value.reason == "QueueFull"
        assert len(deployed.cluster.writes) == before
        deployed.operate(RESOURCE)
        assert self.admitted(deployed, ids) == [True, False, False]
        self.start(deployed, 1)

    def test_a_run_that_waits_already_is_accepted_again(self, deployed: Simulation) -> None:
        allow_queued(deployed, 1)
        for _ in range(2):
            assert deployed.client.run_pipeline("nightly", run_id=RUN).run_id == RUN
        assert len(jobs(deployed)) == 1

    def test_runs_that_are_being_stopped_take_no_room(self, deployed: Simulation) -> None:
        allow_queued(deployed, 2)
        self.start(deployed, 2)
        deployed.client.kill_ingestion("nightly")
        self.start(deployed, 2)
        with pytest.raises(Rejected):
            self.start(deployed, 1)

    def test_twenty_runs_may_wait_by_default(self, deployed: Simulation) -> None:
        self.start(deployed, 20)
        with pytest.raises(Rejected, match=r"\(20\)"):
            self.start(deployed, 1)

    def test_a_scheduled_run_under_way_makes_others_wait(self, deployed: Simulation) -> None:
        body = scheduled(deployed, "tick")
        ids = self.start(deployed, 1)
        deployed.operate(RESOURCE)
        assert self.admitted(deployed, ids) == [False]
        deployed.cluster.delete(JOBS, NAMESPACE, body["metadata"]["name"])
        deployed.operate(RESOURCE)
        assert self.admitted(deployed, ids) == [True]

    def test_a_scheduled_run_waits_for_an_active_one(self, deployed: Simulation) -> None:
        ids = self.start(deployed, 1)
        deployed.operate(RESOURCE)
        scheduled(deployed, "tick")
        deployed.operate(RESOURCE)
        assert is_suspended(deployed, "tick")
        finish(deployed, ids[0])
        deployed.operate(RESOURCE)
        assert not is_suspended(deployed, "tick")

    def test_a_run_suspended_after_its_admission_is_left_alone(self, deployed: Simulation) -> None:
        ids = self.start(deployed, 1)
        deployed.operate(RESOURCE)
        name = job(deployed, ids[0])["metadata"]["name"]
        deployed.cluster.edit(JOBS, NAMESPACE, name, lambda body: body["spec"].update(suspend=True))
        deployed.operate(RESOURCE)
        assert is_suspended(deployed, name)

    def test_a_job_that_changed_meanwhile_is_not_admitted(self, deployed: Simulation) -> None:
        ids = self.start(deployed, 1)
        deployed.cluster.interleave(
            "merge_patch", lambda: deployed.client.kill_ingestion("nightly"), plural=JOBS.plural
        )
        with pytest.raises(Conflict):
            deployed.operate(RESOURCE)
        deployed.operate(RESOURCE)
        assert jobs(deployed) == []
        assert deployed.client.get_pipeline_status("nightly")[0].run_id == ids[0]


class TestStatus:
    def test_a_run_is_queued_until_its_container_runs(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)

        def queued() -> list[str]:
            return [run.run_id for run in deployed.client.get_pipeline_status("nightly", only_queued=True)]

        assert queued() == [RUN]
        deployed.operate(RESOURCE)
        assert queued() == [RUN]
        add_pod(deployed, RUN, "pod-a", running=False)
        assert queued() == [RUN]
        add_pod(deployed, RUN, "pod-a")
        assert queued() == []
        assert deployed.client.get_pipeline_status("nightly")[0].pipeline_state == "running"

    def test_times_are_milliseconds_and_newer_runs_come_first(self, deployed: Simulation) -> None:
        ids = []
        for _ in range(3):
            ids.append(str(deployed.client.run_pipeline("nightly").run_id))
            deployed.clock.forward(seconds=1)
        status = deployed.client.get_pipeline_status("nightly", limit=2)
        assert [run.run_id for run in status] == ids[:0:-1]
        assert status[1].timestamp == 1772366401000
        assert (status[1].start_date, status[1].end_date) == (None, None)

    def test_it_writes_nothing(self, deployed: Simulation) -> None:
        before = len(deployed.cluster.writes)
        deployed.client.get_pipeline_status("nightly")
        assert len(deployed.cluster.writes) == before


class TestLogs:
    def test_the_last_attempt_of_the_last_run_is_shown_in_pages(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        add_pod(deployed, RUN, "pod-a", created=1)
        add_pod(deployed, RUN, "pod-b", created=9)
        deployed.logs.texts = {"pod-a": b"first", "pod-b": "ü".encode() * 2_000_001}
        first = deployed.client.get_last_ingestion_logs("nightly")
        assert (len(first.text), first.total, first.after, first.pipeline_type) == (2_000_000, 2, 1, "metadata")
        last = deployed.client.get_ingestion_logs("nightly", RUN, after=first.after)
        assert (last.text, last.total, last.after) == ("ü", 2, None)

    def test_a_waiting_run_shows_its_cause(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        assert "Waits for a free slot" in deployed.client.get_last_ingestion_logs("nightly").text

    def test_no_run_no_log_and_an_unknown_run_are_not_found(self, deployed: Simulation) -> None:
        with pytest.raises(NotFound, match="has not run"):
            deployed.client.get_last_ingestion_logs("nightly")
        with pytest.raises(NotFound, match="no run"):
            deployed.client.get_ingestion_logs("nightly", RUN)

    def test_a_pod_that_is_gone_is_said_to_be(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        add_pod(deployed, RUN, "pod-a")
        deployed.operate(RESOURCE)
        deployed.cluster.delete(PODS, NAMESPACE, "pod-a")
        with pytest.raises(NotFound, match="is gone"):
            deployed.client.get_last_ingestion_logs("nightly")


class TestDelete:
    def test_nothing_is_left_of_the_pipeline_and_all_of_the_others(self, deployed: Simulation) -> None:
        deployed.client.deploy_pipeline(entity("weekly"))
        deployed.client.run_pipeline("nightly", source_config_override={"x": 1})
        deployed.client.delete_pipeline("nightly")
        assert [body["metadata"]["name"] for body in deployed.cluster.all(PIPELINES)] == [resource_name("weekly")]
        names = {body["metadata"]["name"] for body in deployed.cluster.all(SECRETS)}
        assert {name for name in names if not name.startswith("openmetadata-token-")} == {
            f"{resource_name('weekly')}-source-config"
        }

    def test_it_may_be_repeated(self, deployed: Simulation) -> None:
        for _ in range(2):
            assert deployed.client.delete_pipeline("nightly").code == 200

    def test_a_secret_that_lost_its_owner_goes_too(self, deployed: Simulation) -> None:
        name = f"{RESOURCE}-source-config"
        deployed.cluster.edit(SECRETS, NAMESPACE, name, lambda body: body["metadata"].pop("ownerReferences"))
        deployed.client.delete_pipeline("nightly")
        assert deployed.cluster.get(SECRETS, NAMESPACE, name) is None

    def test_a_secret_without_its_pipeline_goes_too(self, deployed: Simulation) -> None:
        secret = deployed.cluster.get(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
        deployed.cluster.delete(PIPELINES, NAMESPACE, RESOURCE)
        assert secret is not None
        deployed.cluster.put(SECRETS, secret)
        deployed.client.delete_pipeline("nightly")
        assert deployed.cluster.get(SECRETS, NAMESPACE, secret["metadata"]["name"]) is None


def test_toggling_to_the_state_that_is_writes_nothing(deployed: Simulation) -> None:
    before = len(deployed.cluster.writes)
    deployed.client.toggle_ingestion("nightly", enabled=True)
    assert len(deployed.cluster.writes) == before
