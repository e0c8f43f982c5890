"""What is made of what was seen: pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

TERMINAL: Final = frozenset({"success", "failed", "partialSuccess", "stopped"})
_REPORTERS: Final = ("ingestion-runner", "ingestion-operator")
"""User agents of those who speak about a run without being the workflow."""

_LONGEST_DEPLOY: Final = 15.0
_LONGEST_ROW: Final = 150.0
_HIGHEST_LOAD: Final = 40.0
_MOST_MIB: Final = 6 * 1024.0


def too_much(took: float, row: float, load: float, mib: float) -> str:
    """Return why no further pipeline is to be deployed at once; empty if nothing speaks against it."""
    if took > _LONGEST_DEPLOY:
        return f"a deploy took {took:.1f} s"
    if row > _LONGEST_ROW:
        return f"all of them {row:.0f} s"
    if load > _HIGHEST_LOAD:
        return f"load {load:.0f}"
    if mib > _MOST_MIB:
        return f"{mib:.0f} MiB of memory"
    return ""


def first_request(calls: Sequence[Mapping[str, Any]], fqn: str, triggered: float) -> float:
    """Return when the workflow of a pipeline first spoke to the server: the first of its own calls that names it.

    Other programs send requests too: Airflow's DAG parser, our runner's parent, and the operator.
    """
    return min(
        float(call["at"])
        for call in calls
        if call["at"] >= triggered and fqn in call["path"] and not _is_a_reporter(call["headers"])
    )


def has_log_line(text: str) -> bool:
    """Whether a log holds a line of a run.

    Before it, Airflow answers with lines of the time None, and our gateway with what the run waits for.
    """
    return any(line.strip() and not line.startswith(("[None]", "[Run ")) for line in text.splitlines())


def _is_a_reporter(headers: Mapping[str, str]) -> bool:
    agents = [value for name, value in headers.items() if name.lower() == "user-agent"]
    return any(reporter in agent for agent in agents for reporter in _REPORTERS)


def ended_run(runs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a pipeline's newest run that has ended, of the runs that the fake OpenMetadata server knows."""
    return next((run for run in reversed(runs) if run["state"] in TERMINAL), None)
