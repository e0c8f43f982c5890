"""The operator's process 1 is killed in the middle of each kind of step, or asked to end in a slow one."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from testing.fault_proxy import Fault, Rule
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case, Setup
from tests.scenarios.faults.cases.api_calls import ENDLESS, STOPPED
from tests.scenarios.faults.cases.watches import LIGHT
from tests.scenarios.faults.trial import Trial, kill_by_annotation
from tests.scenarios.faults.verdict import Expected

_HELD_SECONDS: Final = 2.0
"""How long a call is held, so that the process dies in it."""

_REPORT_SECONDS: Final = 12.0
_EXIT_SECONDS: Final = 20.0
"""How long an orderly end takes at most: 5 s, or the bound of the one call in flight, and the kubelet's own part."""

_SUCCESSION_SECONDS: Final = 3.0
_STATUS: Final = "/ingestionpipelines/[^/]+/status"


def _killed(rule: Rule, act: Callable[[Trial], None]) -> Callable[[Trial], None]:
    """Return a case that kills the operator in the first call that a rule hits."""

    def killed(trial: Trial) -> None:
        own = Rule(rule.fault, rule.method, rule.target, rule.naming)
        with trial.target.proxy.failing(own):
            act(trial)
            assert own.struck.wait(60), "the operator has not taken the step"
            trial.disturbed()
            trial.target.signal_operators(signal.SIGKILL)
        wait_for("the operator's next life", lambda: trial.target.restarts() > 0, timeout=60)
        trial.recovered()
        trial.settle(timeout=60)

    return killed


def _first_pipeline(trial: Trial) -> None:
    trial.light()


def _admission(trial: Trial) -> None:
    trial.start_by_client(trial.light(seconds=5))


def _end(trial: Trial) -> None:
    trial.start(trial.light(seconds=0))


def _stop(trial: Trial) -> None:
    pipeline = trial.light(seconds=ENDLESS)
    run = trial.start(pipeline, STOPPED)
    trial.wait_until_working(run)
    kill_by_annotation(trial, pipeline, run)


def _prune(trial: Trial) -> None:
    """The Job of the first run is deleted once the second one has ended; Kubernetes deletes those of CronJobs."""
    pipeline = trial.light(seconds=0, history={"successful": 1, "failed": 1})
    trial.wait_until_recorded(trial.start_by_client(pipeline))
    trial.wait_until_recorded(trial.start_by_client(pipeline))


def killed_reporting(trial: Trial) -> None:
    """The report is made, and its answer does not arrive: it may be made once more, with the same end."""
    with _slow_report_of_a_killed_run(trial):
        trial.disturbed()
        trial.target.signal_operators(signal.SIGKILL)
    wait_for("the operator's next life", lambda: trial.target.restarts() > 0, timeout=60)
    trial.recovered()


def ended_while_reporting(trial: Trial) -> None:
    """SIGTERM during a slow report, with a second operator: it leads at once, and the first one no longer writes."""
    target = trial.target
    leader = wait_for("a leader", target.leader, timeout=30)
    with _slow_report_of_a_killed_run(trial):
        logged = trial.installation.cluster.log("audit").stat().st_size
        begin = time.time()
        target.core.delete_namespaced_pod(leader, target.operator_namespace)
        trial.disturbed()
        successor = lambda: (holder := target.leader()) and holder != leader  # noqa: E731
        wait_for("the second operator to lead", successor, timeout=_EXIT_SECONDS)
        taken, ended = str(_lease(trial)["acquireTime"]), time.time() - begin
        trial.recovered()
        trial.check_able(within=_SUCCESSION_SECONDS)
        left = lambda: all(pod["metadata"]["name"] != leader for pod in target.operators())  # noqa: E731
        trial.check("the first operator's process to end", left, timeout=_EXIT_SECONDS - (time.time() - begin))
    assert ended <= _EXIT_SECONDS, f"the Lease was free after {ended:.0f} s"
    late = [call for call in _writes_of(trial, leader, logged) if call[0] > taken]
    assert not late, f"after another had the Lease, its holder before wrote {late}"


@contextmanager
def _slow_report_of_a_killed_run(trial: Trial) -> Iterator[None]:
    """Kill a run that has not begun, which only the operator can report; the block begins while it reports."""
    template = application.light_template(ENDLESS)
    template["spec"]["nodeSelector"] = {"no-node": "has-it"}
    pipeline = trial.light(podTemplate=template)
    run = trial.start(pipeline)
    trial.target.observer.wait("the run to be listed", lambda seen: seen.record is not None, run, timeout=30)
    path = f"{pipeline}/pipelineStatus$"
    slow = {"method": "PUT", "path": path, "delaySeconds": _REPORT_SECONDS, "times": 1}
    with trial.target.server_faults.during(slow):
        kill_by_annotation(trial, pipeline, run)
        wait_for("the report to be on its way", lambda: _is_used_up(trial, path), timeout=60)
        yield


def _is_used_up(trial: Trial, path: str) -> bool:
    return any(fault["path"] == path and fault["times"] == 0 for fault in trial.installation.fake_server.faults())


def _lease(trial: Trial) -> dict[str, Any]:
    text = trial.installation.cluster.kubectl(
        "-n", trial.target.operator_namespace, "get", "lease", constants.LEASE_NAME, "-o", "json"
    )
    return dict(json.loads(text)["spec"])


def _writes_of(trial: Trial, pod: str, offset: int) -> list[tuple[str, str, str]]:
    """Return the writes of a pod from the API server's audit log: moment, verb and path."""
    found = []
    with trial.installation.cluster.log("audit").open() as log:
        log.seek(offset)
        for line in log:
            if pod in line and line.endswith("\n"):
                event = json.loads(line)
                names = event["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name", [])
                if pod in names and event["verb"] in ("create", "patch", "update", "delete"):
                    found.append((_second(event["requestReceivedTimestamp"]), event["verb"], event["requestURI"]))
    return [call for call in found if "/leases" not in call[2]]


def _second(text: str) -> str:
    """Return a moment in the form that Leases have."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _step(
    name: str,
    words: str,
    rule: Rule,
    act: Callable[[Trial], None],
    expected: Expected = LIGHT,
) -> Case:
    return Case(
        name,
        f"the operator is killed (SIGKILL) {words}",
        _killed(rule, act),
        expected,
        place="own",
        is_timed=False,
        about_seconds=80,
    )


def _before(method: str, target: str, *naming: str) -> Rule:
    return Rule(Fault("cut", delay=_HELD_SECONDS), method, target, naming)


def _after(method: str, target: str, *naming: str) -> Rule:
    return Rule(Fault("cut", after_effect=True, delay=_HELD_SECONDS), method, target, naming)


STEPS: Final = (
    _step("killed-before-cronjob", "before a CronJob is written", _before("PATCH", "/cronjobs/"), _first_pipeline),
    _step("killed-after-cronjob", "after a CronJob is written", _after("PATCH", "/cronjobs/"), _first_pipeline),
    _step("killed-before-admission", "before a run is admitted", _before("PATCH", "/jobs/"), _admission),
    _step("killed-after-admission", "after a run is admitted", _after("PATCH", "/jobs/"), _admission),
    _step("killed-before-status", "before a run's end is written", _before("PATCH", _STATUS, '"success"'), _end),
    _step("killed-after-status", "after a run's end is written", _after("PATCH", _STATUS, '"success"'), _end),
    _step("killed-at-event", "before the Event of a run's end", _before("POST", "/events", "RunEnded"), _end),
    _step("killed-before-stop", "before a killed run's Job is ended", _before("PATCH", "/jobs/"), _stop, STOPPED),
    _step("killed-after-stop", "after a killed run's Job is ended", _after("PATCH", "/jobs/"), _stop, STOPPED),
    _step("killed-at-prune", "after an old Job is deleted", _after("DELETE", "/jobs/"), _prune),
    Case(
        "killed-reporting",
        f"the operator is killed (SIGKILL) in a report that takes {_REPORT_SECONDS:.0f} s",
        killed_reporting,
        Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="before it started"),
        place="own",
        is_timed=False,
        about_seconds=80,
    ),
    Case(
        "ended-while-reporting",
        f"SIGTERM in a report that takes {_REPORT_SECONDS:.0f} s; a second operator stands by",
        ended_while_reporting,
        Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="before it started"),
        place="own",
        setup=Setup(replicas=2),
        is_timed=False,
        about_seconds=80,
    ),
)
