"""The measurements: the same calls to both contenders, in the same order."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, TypeVar

from benchmarks.side_by_side import footprint
from benchmarks.side_by_side.contender import HEALTH, Client, Contender
from benchmarks.side_by_side.figures import Samples
from benchmarks.side_by_side.judging import TERMINAL, ended_run, first_request, has_log_line, too_much
from testcluster.progress import show
from testing.installation import SERVICE
from testing.server_client import Reply
from testing.waiting import wait_for

T = TypeVar("T")

BURST: Final = 50
CALLS: Final = 50
"""How often each of the reading calls is timed."""

ACCEPT_PAUSE: Final = 0.25
"""Between two triggers of a pipeline that is not known yet."""

_OK: Final = 200
HANG: Final[Mapping[str, Any]] = {"path": "/tables/name/", "delaySeconds": 900}
"""The fault of the fake OpenMetadata server that lets a run hang in the middle of its work."""

WORK_SECONDS: Final = 2.0
"""From the report that a run runs until it hangs: the fake server records a request only when it has answered it."""

_FINE_PAUSE: Final = 0.05
_RUN_SECONDS: Final = 120.0
_LOST_SECONDS: Final = 10.0
_TRIES: Final = 5


class LostTriggerError(Exception):
    """A trigger that was accepted has run nothing."""


class Journeys:
    """Takes the samples of one contender, one after the other."""

    def __init__(self, contender: Contender, samples: Samples, runs: int) -> None:
        self._contender = contender
        self._samples = samples
        self._runs = runs
        self._deployed = 0

    def all(self, idle_seconds: float) -> None:
        """Go through everything, from the start to the idle hours with all pipelines."""
        for number in range(self._runs):
            self._part(f"cold start {number + 1} of {self._runs}")
            self._note("cold_start_s", self._contender.cold_start())
        self._part("idle without pipelines")
        self._idle("idle", idle_seconds)
        with closing(self._contender.server()) as server:
            self._part("deploys and triggers at once")
            self._accepted(server, "few", "deploy_few_ms", "deploy_to_trigger_s")
            self._part("runs")
            self._journeys(server)
            self._part("reading calls")
            self._reading(server)
            self._part("kills")
            self._kills(server)
            self._part(f"{BURST} deploys in a row")
            self._burst(server)
        # What a burst has set going may take minutes to end; and what is idle afterwards is to be seen idle.
        self._contender.cold_start()
        self._part(f"idle with {self._deployed} pipelines")
        self._idle("deployed", idle_seconds)
        with closing(self._contender.server()) as server:
            self._part(f"deploys beside {self._deployed} pipelines")
            self._accepted(server, "beside", "deploy_beside_ms", "deploy_to_trigger_beside_s")
        for key, megabytes in zip(("disk_mb", "disk_all_mb"), self._contender.disk(), strict=True):
            self._note(key, megabytes)

    def _part(self, what: str) -> None:
        self._samples.loads[what] = round(os.getloadavg()[0], 2)
        show(f"  {what} (load {self._samples.loads[what]})")

    def _note(self, key: str, value: float) -> None:
        self._samples.values[key].append(round(value, 4))

    # Idle.

    def _idle(self, moment: str, seconds: float) -> None:
        self._contender.settle()
        time.sleep(seconds / 3)  # for what a start leaves to be done
        names = set(self._contender.own())
        costs = footprint.measure(lambda: {**self._contender.own(), **self._contender.platform()}, seconds)
        self._samples.components[moment] = footprint.as_json(costs)
        own = footprint.total({name: cost for name, cost in costs.items() if name in names})
        for prefix, cost in ((moment, own), (f"{moment}_all", footprint.total(costs))):
            self._note(f"{prefix}_mib", cost.mib)
            self._note(f"{prefix}_cpu_percent", cost.cpu_percent)
            self._note(f"{prefix}_processes", cost.processes)

    # Deploying.

    def _deploy(self, server: Client, name: str) -> float:
        """Deploy a pipeline; return the seconds to the answer."""
        body = self._contender.entity(name)
        begin = time.perf_counter()
        reply = server.deploy(body)
        took = time.perf_counter() - begin
        _succeeded(reply, f"deploy {name}")
        self._deployed += 1
        return took

    def _accepted(self, server: Client, prefix: str, deploy_key: str, key: str) -> None:
        """Deploy pipelines, each on a quiet server, and trigger each until that is accepted.

        The first deploy after a start is not counted: Airflow's takes seconds, since it imports the library.
        """
        self._note("deploy_first_ms", 1000 * self._deploy(server, f"{prefix}-first"))
        for number in range(self._runs):
            name = f"{prefix}-{number}"
            self._contender.settle()
            took = self._deploy(server, name)
            begin = time.perf_counter() - took
            self._note(deploy_key, 1000 * took)
            while server.trigger(name).code != _OK:
                if time.perf_counter() - begin > _RUN_SECONDS:
                    raise AssertionError(f"{name} takes no trigger, {_RUN_SECONDS:.0f} s after its deploy")
                time.sleep(ACCEPT_PAUSE)
            self._note(key, time.perf_counter() - begin)
            self._wait_for_quiet(server, name)

    def _wait_for_quiet(self, server: Client, name: str) -> None:
        """Return when the pipeline's runs have ended, or have been found to be none."""
        fqn = f"{SERVICE}.{name}"
        wait_for(
            f"the end of all runs of {name}",
            lambda: _states(server, name) and all(state in TERMINAL for state in _states(server, name)),
            timeout=_RUN_SECONDS,
        )
        if not self._contender.fake_server.runs(fqn):
            self._samples.notes.append(f"a trigger right after the deploy of {name} was accepted and ran nothing")

    def _burst(self, server: Client) -> None:
        """Deploy one after the other, as a server does after an upgrade, until it would harm the machine."""
        took: list[float] = []
        begin = time.monotonic()
        stop = ""
        while len(took) < BURST and not stop:
            took.append(self._deploy(server, f"burst-{len(took)}"))
            own = [pid for pids in self._contender.own().values() for pid in pids]
            stop = too_much(
                took[-1], time.monotonic() - begin, os.getloadavg()[0], footprint.memory(own) if took[-1] > 1 else 0.0
            )
        seconds = time.monotonic() - begin
        self._samples.values["burst_ms"] = [round(1000 * each, 1) for each in took]
        show(f"  {len(took)} deploys in {seconds:.1f} s, load {os.getloadavg()[0]:.1f}")
        if stop:
            self._samples.notes.append(f"stopped after {len(took)} deploys in a row ({seconds:.0f} s): {stop}")
            show(f"  {self._samples.notes[-1]}")
        for key, first, last in (("deploy_1st_ms", 1, 1), ("deploy_25th_ms", 23, 27), ("deploy_50th_ms", 46, 50)):
            found = took[first - 1 : last]
            for each in found:
                self._note(key, 1000 * each)
            if not found:
                self._samples.reasons[key] = self._samples.notes[-1]

    # Running.

    def _journeys(self, server: Client) -> None:
        names = [f"run-{number}" for number in range(self._runs)]
        for name in names:
            self._deploy(server, name)
        self._wait_until_known(server, names)
        for name in names:
            for _ in range(_TRIES):
                try:
                    self._journey(server, name)
                    break
                except LostTriggerError as lost:
                    self._samples.notes.append(str(lost))
                    show(f"  {lost}")
            else:
                raise AssertionError(f"{_TRIES} triggers of {name} were accepted and ran nothing")

    def _wait_until_known(self, server: Client, names: Sequence[str]) -> None:
        for name in names:
            known = lambda name=name: server.read("status", {"dag_id": name}).code == _OK  # noqa: E731
            wait_for(f"{name} to be known", known, timeout=_RUN_SECONDS)
        self._contender.settle()

    def _journey(self, server: Client, name: str) -> None:
        """From one trigger to the terminal state."""
        fake_server, fqn = self._contender.fake_server, f"{SERVICE}.{name}"
        triggered, answered = self._trigger(server, name)
        logged = self._wait_for_log(server, name, triggered)
        run = _poll(lambda: ended_run(fake_server.runs(fqn)), f"the end of a run of {name}", _RUN_SECONDS)
        if run["state"] != "success":
            raise AssertionError(f"the run of {name} ended as {run['state']}: {run['row']}")
        shown = _poll(
            lambda: time.time() if set(_states(server, name)[:1]) & TERMINAL else None,
            f"the status of {name} to be terminal",
            _RUN_SECONDS,
        )
        ended = next(each["at"] for each in run["history"] if each["state"] in TERMINAL)
        self._note("trigger_ms", 1000 * answered)
        self._note("trigger_to_first_request_s", first_request(fake_server.calls(), fqn, triggered) - triggered)
        self._note("trigger_to_first_log_s", logged - triggered)
        self._note("trigger_to_finished_s", ended - triggered)
        self._note("end_to_status_s", max(0.0, shown - ended))

    def _trigger(self, server: Client, name: str) -> tuple[float, float]:
        """Trigger; return when that was, and the seconds to the answer."""
        triggered, begin = time.time(), time.perf_counter()
        reply = server.trigger(name)
        answered = time.perf_counter() - begin
        _succeeded(reply, f"trigger {name}")
        return triggered, answered

    def _wait_for_log(self, server: Client, name: str, triggered: float) -> float:
        while True:
            reply = server.logs(name)
            if reply.code == _OK and has_log_line(str(reply.json.get("ingestion_task") or "")):
                return time.time()
            waited = time.time() - triggered
            if waited > _LOST_SECONDS and set(_states(server, name)[:1]) <= TERMINAL:
                raise LostTriggerError(f"a trigger of {name} was accepted and ran nothing")
            if waited > _RUN_SECONDS:
                raise AssertionError(f"no log of {name} after {waited:.0f} s: {reply.body[:200]!r}")
            time.sleep(ACCEPT_PAUSE)

    def _reading(self, server: Client) -> None:
        """The calls of a server that shows a pipeline, about one that has run."""
        calls: dict[str, Callable[[], Reply]] = {
            "status_ms": lambda: server.read("status", {"dag_id": "run-0"}),
            "logs_ms": lambda: server.logs("run-0"),
            "health_ms": lambda: server.send("GET", HEALTH),
        }
        for key, call in calls.items():
            for _ in range(CALLS):
                begin = time.perf_counter()
                reply = call()
                self._note(key, 1000 * (time.perf_counter() - begin))
                _succeeded(reply, key)

    # Killing.

    def _kills(self, server: Client) -> None:
        """Kill runs that hang in a request to the server."""
        names = [f"hang-{number}" for number in range(self._runs)]
        for name in names:
            self._deploy(server, name)
        self._wait_until_known(server, names)
        self._contender.fake_server.set_faults(HANG)
        for name in names:
            for _ in range(_TRIES):
                if pids := self._hanging(server, name):
                    self._kill(server, name, pids)
                    break
                self._samples.notes.append(f"a trigger of {name} was accepted and ran nothing")
            else:
                raise AssertionError(f"{_TRIES} triggers of {name} were accepted and ran nothing")
        self._contender.fake_server.clear_faults()

    def _hanging(self, server: Client, name: str) -> set[int]:
        """Start a run; return its processes once it works, none if it was lost."""
        self._trigger(server, name)
        fake_server, fqn, begin = self._contender.fake_server, f"{SERVICE}.{name}", time.monotonic()
        while not any(run["state"] == "running" for run in fake_server.runs(fqn)):
            if time.monotonic() - begin > _LOST_SECONDS and set(_states(server, name)[:1]) <= TERMINAL:
                return set()
            if time.monotonic() - begin > _RUN_SECONDS:
                raise AssertionError(f"no run of {name} after {_RUN_SECONDS:.0f} s")
            time.sleep(ACCEPT_PAUSE)
        time.sleep(WORK_SECONDS)
        return self._contender.run_processes(name)

    def _kill(self, server: Client, name: str, pids: set[int]) -> None:
        sent, begin = time.time(), time.perf_counter()
        reply = server.kill(name)
        self._note("kill_ms", 1000 * (time.perf_counter() - begin))
        _succeeded(reply, f"kill {name}")
        _poll(lambda: not footprint.alive(pids), f"the end of the processes of {name}", _RUN_SECONDS)
        self._note("kill_to_gone_s", time.perf_counter() - begin)
        fqn = f"{SERVICE}.{name}"
        run = _poll(
            lambda: ended_run(self._contender.fake_server.runs(fqn)), f"the report of {name}'s end", _RUN_SECONDS
        )
        self._note("kill_to_told_s", next(each["at"] for each in run["history"] if each["state"] in TERMINAL) - sent)


def _states(server: Client, name: str) -> list[str]:
    """The states of a pipeline's runs, newest first."""
    reply = server.read("status", {"dag_id": name})
    return [str(run["pipelineState"]) for run in reply.json] if reply.code == _OK else []


def _succeeded(reply: Reply, what: str) -> None:
    if reply.code != _OK:
        raise AssertionError(f"{what}: HTTP {reply.code}: {reply.body.decode(errors='replace')[:500]}")


def _poll(probe: Callable[[], T | None], what: str, seconds: float) -> T:
    """Like wait_for, but with a pause that is short beside what is measured."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(_FINE_PAUSE)
