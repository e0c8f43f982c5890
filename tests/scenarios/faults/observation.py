"""What was observed of one run, by a client that only watches; plain data, with what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestion_operator.api.status import FINISHED_STATES

Json = Mapping[str, Any]
Interval = tuple[float, float]

_REPORTERS: Final = {"Runner": "runner", "Operator": "operator"}


@dataclass(frozen=True)
class Observation:
    """A run as the API server and a fake OpenMetadata server showed it. Times are seconds since 1970."""

    pipeline: str
    run_id: str
    fault_at: float
    """When it was disturbed; when it was started where the disturbance was there before."""
    up_since: float = 0.0
    """Since when all that must answer did so again."""
    container_ended_at: float | None = None
    """When the watch showed the last attempt's container as terminated."""
    recorded_at: float | None = None
    """When the watch showed the first status with the run's end."""
    ends: Sequence[tuple[str, str]] = ()
    """Each state and reason that the record of the ended run has ever had, in order."""
    record: Json | None = None
    """The last record that a status had."""
    is_listed: bool = True
    """Whether the last status still has it: one of more than 20 leaves as soon as it is reported."""
    jobs: Sequence[str] = ()
    """Names of all Jobs that carried the run's id."""
    overlapping_pods: Sequence[tuple[str, str]] = ()
    """Pairs of the run's pods whose containers were running at the same time."""
    unlisted: Sequence[Interval] = ()
    """When its Job had not ended and the pipeline's status had it in none of its lists."""
    row: Json | None = None
    """What the fake OpenMetadata server knows of the run: row, history, terminalStates."""
    log: str = ""
    """The run's log in the archive."""

    @property
    def state(self) -> str:
        """The state of the record; empty where there is none."""
        return str((self.record or {}).get("state", ""))

    @property
    def reason(self) -> str:
        """The reason in the record."""
        return str((self.record or {}).get("reason", ""))

    @property
    def terminal_rows(self) -> list[str]:
        """The terminal states that were reported to the server, in order."""
        return list((self.row or {}).get("terminalStates", []))

    @property
    def reporter(self) -> str:
        """Which program closed the run's row for good: workflow, runner or operator; empty while it is open."""
        row = (self.row or {}).get("row", {})
        if row.get("pipelineState") not in FINISHED_STATES:
            return ""
        steps = row.get("status") or [{}]
        return _REPORTERS.get(steps[0].get("name", ""), "workflow") if len(steps) == 1 else "workflow"

    @property
    def reported_at(self) -> float | None:
        """When the terminal row that stands was written."""
        terminal = [write["at"] for write in (self.row or {}).get("history", []) if write["state"] in FINISHED_STATES]
        return max(terminal, default=None)

    @property
    def counts_from(self) -> float:
        """The moment from which the end can be known to the programs that have to record and report it."""
        known_at = self.fault_at if self.container_ended_at is None else self.container_ended_at
        return max(known_at, self.up_since)

    @property
    def to_record_ms(self) -> float | None:
        """How long the status took; 0 where it was there before all was up again."""
        return _milliseconds(self.counts_from, self.recorded_at)

    @property
    def to_server_ms(self) -> float | None:
        """How long OpenMetadata's row took; 0 where the workflow wrote it before its end."""
        return _milliseconds(self.counts_from, self.reported_at)

    @property
    def hidden_seconds(self) -> float:
        """The longest time for which the status did not list the run, without the time of the fault itself."""
        return max((_outside(one, (self.fault_at, self.up_since)) for one in self.unlisted), default=0.0)


def _outside(interval: Interval, fault: Interval) -> float:
    """Return the length of the longer part of an interval before or after the fault; whole where the fault has none."""
    (begin, end), (fault_begin, fault_end) = interval, fault
    if fault_end <= fault_begin:
        return end - begin
    return max(min(end, fault_begin) - begin, end - max(begin, fault_end), 0.0)


def _milliseconds(since: float, until: float | None) -> float | None:
    return None if until is None else max(0.0, 1000 * (until - since))
