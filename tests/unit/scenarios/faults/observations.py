"""Observations of runs, made for tests of the fault matrix."""

from dataclasses import replace
from typing import Any

from tests.scenarios.faults.observation import Observation
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

KILLED = Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="on request", log="last line")


def row(*states: str, step: str = "Source", began: float = 100.0) -> dict[str, Any]:
    """A run at the fake OpenMetadata server: its states in the order written, a second apart."""
    history = [{"at": began + number, "state": state} for number, state in enumerate(states)]
    terminal = [state for state in states if state != "running"]
    return {
        "state": states[-1],
        "history": history,
        "terminalStates": terminal,
        "row": {"pipelineState": states[-1], "status": [{"name": step}]},
    }


def observation(**changes: Any) -> Observation:
    """A run that was killed and rightly recorded and reported."""
    known = {"state": "stopped", "reason": "Killed", "message": "Stopped on request", "report": "Done"}
    usual = Observation(
        pipeline="p",
        run_id="r",
        fault_at=99.0,
        container_ended_at=101.5,
        recorded_at=101.6,
        ends=(("stopped", "Killed"),),
        record=known,
        jobs=("p-1",),
        row=row("running", "failed", "stopped", step="Operator"),
        log="first line\nlast line",
    )
    return replace(usual, **changes)


def record(**changes: Any) -> dict[str, Any]:
    """The record of such a run."""
    return {**(observation().record or {}), **changes}


def act(_: Trial) -> None:
    """What no unit test calls."""
    raise NotImplementedError
