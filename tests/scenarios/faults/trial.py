"""One case in one round: pipelines and runs of its own, and the moments that its times count from."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kubernetes.client.exceptions import ApiException

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES
from testcluster.errors import CommandError
from testing import installation as installations
from testing.fault_proxy import Rule
from testing.install import OPERATOR
from testing.installation import SERVICE, Installation
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.observation import Observation
from tests.scenarios.faults.target import FaultTarget
from tests.scenarios.faults.verdict import Counts, Expected, count

_START_SECONDS: Final = 150
_LOG_SECONDS: Final = 30

_READ_LOG: Final = """
import glob, gzip, sys
names = sorted(glob.glob(f"/var/lib/ingestion-logs/*/*/{sys.argv[1]}/*/*.gz"))
sys.stdout.write("".join(gzip.open(name).read().decode() for name in names))
"""


@dataclass
class _Started:
    pipeline: str
    fqn: str
    run_id: str
    expected: Expected


@dataclass
class Trial:
    """The means of a case."""

    target: FaultTarget
    name: str
    """Of the case and the round: names of pipelines begin with it."""
    expected: Expected
    """How runs must end for which nothing else is given."""
    able_within: float = 30
    """Seconds after the fault within which a new pipeline must be Ready."""
    fault_at: float = 0.0
    up_since: float = 0.0
    deaf: int = 0
    able_seconds: float | None = None
    problems: list[str] = field(default_factory=list)
    _fqns: dict[str, str] = field(default_factory=dict)
    _started: list[_Started] = field(default_factory=list)
    _ignored: set[str] = field(default_factory=set)
    _probes: int = 0

    @property
    def installation(self) -> Installation:
        """The namespace of the pipelines."""
        return self.target.installation

    # Pipelines

    def light(
        self, seconds: float = 5, *, suffix: str = "", installation: Installation | None = None, **spec: Any
    ) -> str:
        """Apply a pipeline whose run is a light pod that lasts so long; return its name."""
        spec.setdefault("podTemplate", application.light_template(seconds))
        return self._pipeline(suffix, application.SERVICE, _application("sleep", 0) | spec, installation=installation)

    def application(self, behaviour: str = "sleep", seconds: float = 0, *, suffix: str = "", **spec: Any) -> str:
        """Apply a pipeline whose run sleeps so long and then behaves so, in the library; return its name."""
        return self._pipeline(suffix, application.SERVICE, _application(behaviour, seconds) | spec)

    def metadata(self, service: str = SERVICE, *, suffix: str = "", **spec: Any) -> str:
        """Apply a pipeline that catalogues the database of a service; return its name."""
        return self._pipeline(suffix, service, {"service": {"type": "databaseService", "name": service}} | spec)

    def edit(self, pipeline: str, spec: dict[str, Any]) -> None:
        """Change the spec of a pipeline."""
        self.installation.kubectl("patch", "omip", pipeline, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def wait_until_ready(self, *pipelines: str, timeout: float = 60) -> None:
        """Return when pipelines are Ready with the spec that they have now."""
        for name in pipelines:
            ready = lambda name=name: self.target.is_ready(self.installation.namespace, name)  # noqa: E731
            wait_for(f"{name} to be Ready", ready, timeout=timeout)

    def wait_for_condition(
        self, pipeline: str, words: str, *, status: str | None = None, timeout: float = 60
    ) -> dict[str, Any]:
        """Return a condition of a pipeline once its type or reason is `words`. Raises AssertionError."""

        def found() -> dict[str, Any] | None:
            conditions = self.installation.status(pipeline).get("conditions", [])
            wanted = (one for one in conditions if words in (one["type"], one["reason"]))
            return next((one for one in wanted if status in (None, one["status"])), None)

        return wait_for(f"{pipeline} to have the condition {words}", found, timeout=timeout)

    # Runs

    def start(self, pipeline: str, expected: Expected | None = None, *, number: int = 1) -> str:
        """Start a run as kubectl's users do; return its id."""
        run = self.installation.start_run(pipeline, f"{pipeline}-{number}")
        return self._note(pipeline, run, expected)

    def start_by_client(self, pipeline: str, expected: Expected | None = None) -> str:
        """Start a run as OpenMetadata does, in its turn; return its id."""
        wait_for("the CronJob", lambda: self.installation.status(pipeline).get("cronJobName"), timeout=30)
        run = self.target.service.run_pipeline(pipeline).run_id
        assert run is not None
        return self._note(pipeline, run, expected)

    def ignore(self, run: str) -> None:
        """Leave a run out of the verdict: its pipeline has gone on purpose."""
        self._started = [one for one in self._started if one.run_id != run]
        self._ignored.add(run)

    def wait_until_working(self, run: str) -> None:
        """Return when a container of the run works and the status has the run."""
        what, observer = "the run to work", self.target.observer
        observer.wait(what, lambda seen: bool(seen.working), run, timeout=_START_SECONDS)
        observer.wait(what, lambda seen: (seen.record or {}).get("state") == "running", run, timeout=_START_SECONDS)

    def wait_until_running(self, run: str) -> None:
        """Return when the workflow has reported to the server that it runs, and the status has the run."""
        self.wait_until_working(run)
        wait_for("the workflow's own row", lambda: self.row(run).get("state") == "running", timeout=_START_SECONDS)

    def wait_until_recorded(self, run: str, *, timeout: float = _START_SECONDS) -> None:
        """Return when the status has the run's end."""
        what = "the record of the end"
        self.target.observer.wait(what, lambda seen: seen.recorded_at is not None, run, timeout=timeout)

    def wait_until_ended(self, run: str) -> None:
        """Return in the moment in which a container of the run is seen to have ended."""
        what = "the end of a container"
        self.target.observer.wait(what, lambda seen: bool(seen.containers_ended), run, timeout=_START_SECONDS)

    def row(self, run: str) -> dict[str, Any]:
        """What the fake OpenMetadata server knows of a run, empty while it knows nothing or does not answer."""
        fqn = next(one.fqn for one in self._started if one.run_id == run)
        with suppress(OSError):
            return next((row for row in self.installation.fake_server.runs(fqn) if row["runId"] == run), {})
        return {}

    # The fault

    def disturbed(self) -> None:
        """Note that the fault begins now."""
        self.fault_at = time.time()

    def recovered(self) -> None:
        """Note that now all is up again."""
        self.up_since = time.time()

    @contextmanager
    def failing(self, *rules: Rule) -> Iterator[Rule]:
        """Let the operator's calls fail until the block ends, and the watches that are open now."""
        self.disturbed()
        with self.target.proxy.failing(*rules, open_streams=True) as rule:
            yield rule
        self.recovered()

    def check(self, what: str, holds: Callable[[], object], *, timeout: float = 30) -> None:
        """Note a problem unless something holds in time; the case goes on all the same."""
        try:
            wait_for(what, holds, timeout=timeout)
        except AssertionError as error:
            self.problems.append(str(error))

    def check_able(self, installation: Installation | None = None, *, within: float | None = None) -> None:
        """Create a pipeline and wait until it is Ready, which shows that the operator is not deaf."""
        self._probes += 1
        bound, begin = within or self.able_within, time.time()
        place = installation or self.installation
        name = self.light(suffix=f"-after-{self._probes}", installation=place)
        try:
            ready = lambda: self.target.is_ready(place.namespace, name)  # noqa: E731
            wait_for(f"a new pipeline in {place.namespace} to be Ready", ready, timeout=bound)
        except (AssertionError, ApiException) as error:
            self.deaf += 1
            self.problems.append(f"deaf: {error}")
        self.able_seconds = max(self.able_seconds or 0.0, time.time() - begin)
        place.kubectl("delete", "omip", name, "--wait=false")

    # The verdict

    def settle(self, *, timeout: float) -> None:
        """Wait until every run has an end in its status and a report that is made, or time is up."""
        until = time.monotonic() + timeout
        for one in self._started:
            with suppress(AssertionError):  # what is missing then is for the verdict to name
                wait_for("the end", lambda one=one: self._is_settled(one), timeout=until - time.monotonic())  # type: ignore[misc]

    def observations(self, *, with_logs: bool) -> list[tuple[Expected, Observation]]:
        """Return what was observed of each run by now."""
        return [(one.expected, self._observation(one, with_log=with_logs)) for one in self._started]

    def counts(self, observations: list[tuple[Expected, Observation]]) -> Counts:
        """Return what must not be; on an installation of its own also of runs that the case has not started."""
        counted = count(observations, bound=self.able_within) + Counts(deaf=self.deaf)
        unknown = self.unknown_runs() if self.target.api_proxy is not None else set()
        return counted + Counts(lost=len(unknown))

    def unknown_runs(self) -> set[str]:
        """Return the runs in the namespace that are none of this case's."""
        known = {one.run_id for one in self._started} | self._ignored
        return set(self.target.observer.runs()) - known

    def known_runs(self) -> set[str]:
        """Return the runs that this case has started, those that it ignores included."""
        return {one.run_id for one in self._started} | self._ignored

    def pipelines(self) -> set[str]:
        """Return the names of the pipelines that this case has made."""
        return set(self._fqns)

    def _pipeline(
        self, suffix: str, service_name: str, spec: dict[str, Any], *, installation: Installation | None = None
    ) -> str:
        name = f"{self.name}{suffix}"
        body = installations.pipeline(name)
        if self.target.server is not None:
            body["spec"]["server"]["hostPort"] = self.target.server
        body["spec"] = {key: value for key, value in (body["spec"] | spec).items() if value is not None}
        self._fqns[name] = f"{service_name}.{name}"
        kind = {"pipelineType": "application"} if spec.get("pipelineType") == "application" else {}
        self.installation.fake_server.register_pipeline(self._fqns[name], **kind)
        (installation or self.installation).apply(body)
        return name

    def _note(self, pipeline: str, run: str, expected: Expected | None) -> str:
        self._started.append(_Started(pipeline, self._fqns[pipeline], run, expected or self.expected))
        self.fault_at = self.fault_at or time.time()
        return run

    def _is_settled(self, one: _Started) -> bool:
        observer = self.target.observer
        record = observer.seen(one.run_id).record or {}
        is_noted = record.get("report") in ("Done", "Refused") or not observer.is_listed(one.run_id)
        is_reported = self.row(one.run_id).get("state") in FINISHED_STATES
        return record.get("state") in FINISHED_STATES and is_noted and is_reported

    def _observation(self, one: _Started, *, with_log: bool) -> Observation:
        observer = self.target.observer
        seen = observer.seen(one.run_id)
        return Observation(
            pipeline=one.pipeline,
            run_id=one.run_id,
            fault_at=self.fault_at,
            up_since=self.up_since,
            container_ended_at=observer.ended_at(one.run_id),
            recorded_at=seen.recorded_at,
            ends=tuple(seen.ends),
            record=seen.record,
            is_listed=observer.is_listed(one.run_id),
            jobs=tuple(seen.jobs.values()),
            overlapping_pods=tuple(seen.overlaps),
            unlisted=observer.unlisted(one.run_id),
            row=self.row(one.run_id) or None,
            log=self._log(one) if with_log and one.expected.log else "",
        )

    def _log(self, one: _Started) -> str:
        """Return what the archive has, once it has the words that are expected."""
        found = ""

        def read() -> bool:
            nonlocal found
            with suppress(CommandError):
                found = self.installation.cluster.kubectl(
                    "-n", self.target.operator_namespace, "exec", f"deployment/{OPERATOR}", "--",
                    "/opt/venv/bin/python", "-c", _READ_LOG, one.run_id,
                )  # fmt: skip
            return one.expected.log in found

        with suppress(AssertionError):
            wait_for("the archived log", read, timeout=_LOG_SECONDS)
        return found


def _application(behaviour: str, seconds: float) -> dict[str, Any]:
    return {
        "pipelineType": "application",
        "service": {"type": "metadataService", "name": application.SERVICE},
        "sourceConfig": application.source_config(behaviour, seconds),
        "podTemplate": None,
    }


def kill_by_annotation(trial: Trial, pipeline: str, run: str) -> None:
    """Ask for a run's end as users of kubectl do."""
    patch = json.dumps({"metadata": {"annotations": {constants.ANNOTATION_KILL: run}}})
    trial.installation.kubectl("patch", "omip", pipeline, "--type=merge", "--patch", patch)
