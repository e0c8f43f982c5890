"""Any sequence of calls, with the operator and Kubernetes at work in between, against the contract."""

from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingestion_operator.errors import NotFound
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from ingestion_operator.runs.jobs import read_job
from testing.entities import airflow, entity
from testing.objects import Body
from testing.simulation import Simulation

NAMES = st.sampled_from(["nightly", "Sales (EU) / täglich"])


class _Calls(RuleBasedStateMachine):
    """`paused`, `limits` and `runs` are the model: what must be, computed from the calls alone."""

    is_cached = False

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(is_cached=self.is_cached)
        self.paused: dict[str, bool] = {}
        self.limits: dict[str, int] = {}
        self.runs: dict[str, list[str]] = {}
        self.killed: set[str] = set()

    def jobs(self, name: str) -> list[Body]:
        owner = resource_name(name)
        return [b for b in self.simulation.cluster.all(JOBS) if b["metadata"]["ownerReferences"][0]["name"] == owner]

    @rule(name=NAMES, enabled=st.booleans(), limit=st.integers(1, 3), retries=st.integers(0, 2))
    def deploy(self, name: str, enabled: bool, limit: int, retries: int) -> None:
        config = airflow(maxActiveRuns=limit, concurrency=limit, retries=retries)
        body = entity(name, enabled=enabled, airflowConfig=config)
        self.simulation.client.deploy_pipeline(body)
        before = len(self.simulation.cluster.writes)
        self.simulation.client.deploy_pipeline(body)
        assert len(self.simulation.cluster.writes) == before
        self.paused.setdefault(name, not enabled)
        self.runs.setdefault(name, [])
        self.limits[name] = limit

    @rule(name=NAMES, enabled=st.booleans())
    def toggle(self, name: str, enabled: bool) -> None:
        if self._is_known(name, lambda: self.simulation.client.toggle_ingestion(name, enabled=enabled)):
            self.paused[name] = not enabled

    @rule(name=NAMES, again=st.booleans(), override=st.booleans())
    def run(self, name: str, again: bool, override: bool) -> None:
        earlier = self.runs.get(name, [])
        same = earlier[-1] if again and earlier else None
        more: dict[str, Any] = {"source_config_override": {"x": 1}} if override else {}
        started: list[str] = []
        if self._is_known(
            name, lambda: started.append(str(self.simulation.client.run_pipeline(name, run_id=same, **more).run_id))
        ):
            assert same in (None, started[0])
            if started[0] not in earlier:
                earlier.append(started[0])
            self.simulation.clock.forward(seconds=1)

    @rule(name=NAMES)
    def kill(self, name: str) -> None:
        self.simulation.clock.forward(seconds=1)
        unfinished = {read_job(job).run_id for job in self.jobs(name) if not job.get("status", {}).get("conditions")}
        try:
            self.simulation.client.kill_ingestion(name)
        except NotFound:
            assert not unfinished - self.killed
        else:
            self.killed |= unfinished

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.simulation.client.delete_pipeline(name)
        self.paused.pop(name, None)
        self.runs.pop(name, None)
        self.limits.pop(name, None)

    @precondition(lambda self: self.paused)
    @rule()
    def operate(self) -> None:
        for name in self.paused:
            self.simulation.operate(resource_name(name))

    @rule(name=NAMES, succeeds=st.booleans())
    def kubernetes_ends_a_run(self, name: str, succeeds: bool) -> None:
        for job in self.jobs(name):
            if not job["spec"]["suspend"] and not job.get("status", {}).get("conditions"):
                killed = job["spec"].get("activeDeadlineSeconds") == 1
                kind = "Complete" if succeeds and not killed else "Failed"
                reason = "DeadlineExceeded" if killed else "BackoffLimitExceeded"
                when = f"{self.simulation.clock.now():%Y-%m-%dT%H:%M:%SZ}"
                found = {"type": kind, "status": "True", "lastTransitionTime": when, "reason": reason, "message": ""}
                job["status"] = {"conditions": [found]}
                self.simulation.cluster.put(JOBS, job)
                return

    def _is_known(self, name: str, call: Any) -> bool:
        try:
            call()
        except NotFound:
            assert name not in self.paused
            return False
        assert name in self.paused
        return True

    @invariant()
    def the_pause_is_what_was_asked_for_last(self) -> None:
        live = {
            body["metadata"]["name"]: bool(body["spec"].get("suspend"))
            for body in self.simulation.cluster.all(PIPELINES)
        }
        assert live == {resource_name(name): paused for name, paused in self.paused.items()}

    @invariant()
    def every_run_is_reported_once_and_newest_first(self) -> None:
        for name, runs in self.runs.items():
            reported = [status.run_id for status in self.simulation.client.get_pipeline_status(name, limit=20)]
            assert reported == runs[::-1][:20]

    @invariant()
    def nothing_is_left_of_what_was_deleted(self) -> None:
        known = tuple(resource_name(name) for name in self.paused)
        for kind in (JOBS, SECRETS):
            names = [body["metadata"]["name"] for body in self.simulation.cluster.all(kind)]
            assert all(name.startswith((*known, "openmetadata-token-")) for name in names)

    @invariant()
    def no_killed_run_waits_or_succeeds(self) -> None:
        for name in self.runs:
            for status in self.simulation.client.get_pipeline_status(name):
                if status.run_id in self.killed:
                    assert status.pipeline_state in ("stopped", "queued", "running")


class _CachedCalls(_Calls):
    is_cached = True


TestCalls = _Calls.TestCase
TestCachedCalls = _CachedCalls.TestCase
TestCalls.settings = TestCachedCalls.settings = hypothesis_settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
