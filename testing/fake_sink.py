"""OpenMetadata's rows in memory."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from ingestion_operator.api.settings import Settings
from ingestion_operator.logs.run_tails import RunLogTails
from ingestion_operator.ports import Clock, ClusterApi, ServerAccess
from ingestion_operator.reporting.circuit_breaker import Breakers
from ingestion_operator.reporting.reporter import Reporter
from testing.fake_logs import FakeLogs

Row = dict[str, Any]


class FakeSink:
    """Implements the port StatusSink: `sink.rows["run-id"]`."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.calls: list[tuple[str, str, str]] = []
        """Verb, fully qualified name, run id."""
        self.servers: list[ServerAccess] = []
        self.down: Exception | None = None
        """Raised by every call."""
        self.refuses_writes: Exception | None = None
        self.before_call: Callable[[], object] = lambda: None
        self.after_write: Callable[[], object] = lambda: None

    def read(self, server: ServerAccess, fully_qualified_name: str, run_id: str) -> Row | None:
        self._called("read", server, fully_qualified_name, run_id)
        return deepcopy(self.rows.get(run_id))

    def write(self, server: ServerAccess, fully_qualified_name: str, row: Row) -> None:
        self._called("write", server, fully_qualified_name, row["runId"])
        if self.refuses_writes is not None:
            raise self.refuses_writes
        self.rows[row["runId"]] = deepcopy(row)
        self.after_write()

    @property
    def writes(self) -> Sequence[str]:
        """Ids of the runs whose row was written, in order."""
        return [run_id for verb, _, run_id in self.calls if verb == "write"]

    def _called(self, verb: str, server: ServerAccess, name: str, run_id: str) -> None:
        self.calls.append((verb, name, run_id))
        self.servers.append(server)
        self.before_call()
        if self.down is not None:
            raise self.down


def reporter_over(
    cluster: ClusterApi,
    sink: FakeSink,
    settings: Callable[[], Settings],
    clock: Clock,
    logs: FakeLogs | None = None,
) -> Reporter:
    """A reporter whose pauses pass as the clock is moved."""
    breakers = Breakers(lambda: clock.now().timestamp())
    return Reporter(cluster, sink, settings, clock, RunLogTails(logs or FakeLogs()), breakers)
