"""One row in one round: pipelines and runs of its own, and the moments that its times count from."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES
from tests.chaos import application
from tests.chaos.stage import Stage
from tests.chaos.story import Story
from tests.chaos.verdict import Expected
from tests.cluster.errors import CommandError
from tests.support import site as sites
from tests.support.installation import OPERATOR
from tests.support.site import SERVICE
from tests.support.waiting import wait_for

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
class Scene:
    """What a row acts with."""

    stage: Stage
    name: str
    """Of the row and the round: names of pipelines begin with it."""
    expected: Expected
    """How runs must end of which nothing else is said."""
    fault_at: float = 0.0
    up_since: float = 0.0
    _fqns: dict[str, str] = field(default_factory=dict)
    _started: list[_Started] = field(default_factory=list)

    def application(self, behaviour: str = "sleep", seconds: float = 0, *, suffix: str = "", **spec: Any) -> str:
        """Apply a pipeline whose run sleeps so long and then behaves so; return its name."""
        about = {
            "pipelineType": "application",
            "service": {"type": "metadataService", "name": application.SERVICE},
            "sourceConfig": application.source_config(behaviour, seconds),
            "podTemplate": None,
        }
        return self._pipeline(suffix, application.SERVICE, about | spec)

    def metadata(self, service: str = SERVICE, *, suffix: str = "", **spec: Any) -> str:
        """Apply a pipeline that catalogues the database of a service; return its name."""
        return self._pipeline(suffix, service, {"service": {"type": "databaseService", "name": service}} | spec)

    def start(self, pipeline: str, expected: Expected | None = None) -> str:
        """Start a run as kubectl's users do; return its id."""
        job = f"{pipeline}-1"
        run = self.stage.site.start_run(pipeline, job)
        return self._note(pipeline, run, expected)

    def start_by_client(self, pipeline: str, expected: Expected | None = None) -> str:
        """Start a run as OpenMetadata does, in its turn; return its id."""
        wait_for("the CronJob", lambda: self.stage.site.status(pipeline).get("cronJobName"), timeout=30)
        run = self.stage.service.run_pipeline(pipeline).run_id
        assert run is not None
        return self._note(pipeline, run, expected)

    def disturbed(self) -> None:
        """Note that the fault begins now."""
        self.fault_at = time.time()

    def recovered(self) -> None:
        """Note that now all is up again."""
        self.up_since = time.time()

    def wait_until_running(self, run: str) -> None:
        """Return when the workflow has told the server that it runs, and the status says so."""
        self.stage.observer.wait(
            "the run to run", lambda seen: (seen.record or {}).get("state") == "running", run, timeout=_START_SECONDS
        )
        wait_for("the workflow's own row", lambda: self.row(run).get("state") == "running", timeout=_START_SECONDS)

    def wait_until_recorded(self, run: str) -> None:
        """Return when the status has the run's end."""
        self.stage.observer.wait(
            "the record of the end", lambda seen: seen.recorded_at is not None, run, timeout=_START_SECONDS
        )

    def wait_until_ended(self, run: str) -> None:
        """Return in the moment in which a container of the run is seen to have ended."""
        self.stage.observer.wait(
            "the end of a container", lambda seen: bool(seen.containers_ended), run, timeout=_START_SECONDS
        )

    def row(self, run: str) -> dict[str, Any]:
        """What the double knows of a run, empty while it knows nothing or does not answer."""
        fqn = next(one.fqn for one in self._started if one.run_id == run)
        with suppress(OSError):
            return next((row for row in self.stage.site.double.runs(fqn) if row["runId"] == run), {})
        return {}

    def settle(self, *, timeout: float) -> None:
        """Wait until every run of the row has an end in its status and a report that is made, or time is up."""
        until = time.monotonic() + timeout
        for one in self._started:
            with suppress(AssertionError):  # what is missing then is for the verdict to say
                wait_for("the end", lambda one=one: self._is_settled(one), timeout=until - time.monotonic())  # type: ignore[misc]

    def stories(self, *, with_logs: bool) -> list[tuple[Expected, Story]]:
        """Tell what was seen of each run of the row by now."""
        return [(one.expected, self._story(one, with_log=with_logs)) for one in self._started]

    def _pipeline(self, suffix: str, service_name: str, spec: dict[str, Any]) -> str:
        name = f"{self.name}{suffix}"
        body = sites.pipeline(name)
        body["spec"] = {key: value for key, value in (body["spec"] | spec).items() if value is not None}
        self._fqns[name] = f"{service_name}.{name}"
        kind = {"pipelineType": "application"} if spec.get("pipelineType") == "application" else {}
        self.stage.site.double.register_pipeline(self._fqns[name], **kind)
        self.stage.site.apply(body)
        return name

    def _note(self, pipeline: str, run: str, expected: Expected | None) -> str:
        self._started.append(_Started(pipeline, self._fqns[pipeline], run, expected or self.expected))
        self.fault_at = self.fault_at or time.time()
        return run

    def _is_settled(self, one: _Started) -> bool:
        record = self.stage.observer.seen(one.run_id).record or {}
        is_told = self.row(one.run_id).get("state") in FINISHED_STATES
        return record.get("state") in FINISHED_STATES and record.get("report") in ("Done", "Refused") and is_told

    def _story(self, one: _Started, *, with_log: bool) -> Story:
        seen = self.stage.observer.seen(one.run_id)
        return Story(
            pipeline=one.pipeline,
            run_id=one.run_id,
            fault_at=self.fault_at,
            up_since=self.up_since,
            container_ended_at=self.stage.observer.ended_at(one.run_id),
            recorded_at=seen.recorded_at,
            ends=tuple(seen.ends),
            record=seen.record,
            jobs=tuple(seen.jobs.values()),
            row=self.row(one.run_id) or None,
            log=self._log(one) if with_log and one.expected.log else "",
        )

    def _log(self, one: _Started) -> str:
        """Return what the archive has, once it has the words that are looked for."""
        found = ""

        def read() -> bool:
            nonlocal found
            with suppress(CommandError):
                found = self.stage.site.kubectl(
                    "exec", f"deployment/{OPERATOR}", "--", "/opt/venv/bin/python", "-c", _READ_LOG, one.run_id
                )
            return one.expected.log in found

        with suppress(AssertionError):
            wait_for("the archived log", read, timeout=_LOG_SECONDS)
        return found


def kill_by_annotation(scene: Scene, pipeline: str, run: str) -> None:
    """Ask for a run's end as users of kubectl do."""
    patch = json.dumps({"metadata": {"annotations": {constants.ANNOTATION_KILL: run}}})
    scene.stage.site.kubectl("patch", "omip", pipeline, "--type=merge", "--patch", patch)
