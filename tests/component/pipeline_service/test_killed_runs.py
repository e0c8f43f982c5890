"""Runs that are ended by request, with the operator at work, over an API server in memory."""

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import NotFound
from ingestion_operator.ports import JOBS, PODS
from testing.objects import NAMESPACE
from testing.simulated_jobs import RESOURCE, RUN, add_pod, allow_queued, finish, job, jobs, scheduled
from testing.simulation import Simulation


class TestKill:
    def test_a_running_run_gets_annotation_and_deadline(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        add_pod(deployed, RUN, "pod-a")
        deployed.operate(RESOURCE)
        deployed.clock.forward(seconds=5)
        deployed.client.kill_ingestion("nightly")
        body = job(deployed, RUN)
        assert body["spec"]["activeDeadlineSeconds"] == 1
        assert constants.ANNOTATION_STOP in body["metadata"]["annotations"]
        deployed.cluster.delete(PODS, NAMESPACE, "pod-a")
        finish(deployed, RUN, "Failed", "DeadlineExceeded")
        deployed.operate(RESOURCE)
        status = deployed.client.get_pipeline_status("nightly")
        assert [(run.run_id, run.pipeline_state) for run in status] == [(RUN, "stopped")]
        assert len(jobs(deployed)) == 1

    def test_a_waiting_run_is_recorded_before_its_deletion(self, deployed: Simulation) -> None:
        scheduled(deployed, "tick")
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        deployed.client.kill_ingestion_run("nightly", RUN)
        assert "activeDeadlineSeconds" not in job(deployed, RUN)["spec"]
        deployed.operate(RESOURCE)
        writes = [(call.verb, call.plural) for call in deployed.cluster.writes]
        assert writes.index(("delete", "jobs")) > writes.index(("apply", "ingestionpipelines"))
        assert [j["metadata"]["name"] for j in jobs(deployed)] == ["tick"]
        states = {run.run_id: run.pipeline_state for run in deployed.client.get_pipeline_status("nightly")}
        assert states[RUN] == "stopped"

    def test_one_run_ends_and_the_others_do_not(self, deployed: Simulation) -> None:
        first, second = (str(deployed.client.run_pipeline("nightly").run_id) for _ in range(2))
        deployed.client.kill_ingestion_run("nightly", second)
        assert constants.ANNOTATION_STOP not in job(deployed, first)["metadata"]["annotations"]
        assert constants.ANNOTATION_STOP in job(deployed, second)["metadata"]["annotations"]

    def test_all_runs_end_scheduled_ones_too(self, deployed: Simulation) -> None:
        scheduled(deployed, "tick")
        allow_queued(deployed, 30)
        for _ in range(30):
            deployed.client.run_pipeline("nightly")
        assert "31 runs" in deployed.client.kill_ingestion("nightly").reason
        assert all(constants.ANNOTATION_STOP in j["metadata"]["annotations"] for j in jobs(deployed))

    def test_nothing_to_end_is_not_found(self, deployed: Simulation) -> None:
        with pytest.raises(NotFound, match="nothing to stop"):
            deployed.client.kill_ingestion("nightly")
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        finish(deployed, RUN)
        with pytest.raises(NotFound):
            deployed.client.kill_ingestion("nightly")
        with pytest.raises(NotFound):
            deployed.client.kill_ingestion_run("nightly", RUN)

    def test_twice_is_as_good_as_once(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.operate(RESOURCE)
        deployed.client.kill_ingestion("nightly")
        before = len(deployed.cluster.writes)
        assert deployed.client.kill_ingestion("nightly").code == 200
        assert len(deployed.cluster.writes) == before

    def test_a_run_admitted_at_the_same_moment_ends(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.cluster.interleave("merge_patch", lambda: deployed.operate(RESOURCE), plural=JOBS.plural)
        deployed.client.kill_ingestion("nightly")
        assert job(deployed, RUN)["spec"]["activeDeadlineSeconds"] == 1

    def test_a_server_before_2_0_receives_failed_for_a_stopped_run(self, deployed: Simulation) -> None:
        deployed.client.run_pipeline("nightly", run_id=RUN)
        deployed.client.kill_ingestion("nightly")
        deployed.settings = deployed.settings.model_copy(update={"default_server_version": "1.13"})
        assert deployed.client.get_pipeline_status("nightly")[0].pipeline_state == "failed"
