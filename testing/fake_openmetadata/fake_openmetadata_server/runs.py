"""The runs of ingestion pipelines: status rows with the history of their writes, progress, logs."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import schemas
from .wire import ApiError, InvalidBodyError, Reply, Request

PIPELINE = "entity.services.ingestionPipelines"
TERMINAL = frozenset({"success", "failed", "partialSuccess", "stopped"})
MOST_WRITES_KEPT = 50
MOST_LOG_BATCHES = 500


@dataclass
class Run:
    """One row, and everything that was ever written to it."""

    fqn: str
    run_id: str
    row: dict[str, Any] = field(default_factory=dict)
    writes: int = 0
    history: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_WRITES_KEPT))
    progress: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_WRITES_KEPT))
    logs: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LOG_BATCHES))
    logs_closed: bool = False

    def write(self, row: dict[str, Any], request: Request) -> None:
        self.row = row
        self.writes += 1
        self.history.append(
            {
                "at": time.time(),
                "state": row.get("pipelineState"),
                "userAgent": request.headers.get("user-agent"),
                "row": row,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """For tests: `terminalStates` are the terminal states in the order they were written."""
        return {
            "fqn": self.fqn,
            "runId": self.run_id,
            "state": self.row.get("pipelineState"),
            "row": self.row,
            "writes": self.writes,
            "terminalStates": [w["state"] for w in self.history if w["state"] in TERMINAL],
            "history": list(self.history),
            "progress": list(self.progress),
            "logs": "".join(self.logs),
            "logsClosed": self.logs_closed,
        }


class Runs:
    """Below /services/ingestionPipelines: all that belongs to single runs."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Run] = {}

    def handle(self, rest: tuple[str, ...], request: Request) -> Reply | None:
        """None when the path is none of a run. The caller knows that the pipeline exists."""
        match request.method, rest:
            case "PUT", (fqn, "pipelineStatus"):
                return self._write_row(fqn, request)
            case "GET", (fqn, "pipelineStatus"):
                return self._list_rows(fqn, request)
            case "GET", (fqn, "pipelineStatus", run_id):
                run = self._runs.get((fqn, run_id))
                # Not a 404: on that the client stops reporting.
                return Reply(200, run.row) if run is not None and run.writes else Reply(204)
            case "PUT", ("progress", fqn, run_id):
                schemas.check(f"{PIPELINE}.progressUpdate:ProgressUpdate", request.json)
                self._run(fqn, run_id).progress.append(request.json)
                return Reply(204)
            case "GET", ("progress", fqn, run_id):
                run = self._runs.get((fqn, run_id))
                return Reply(200, run.progress[-1]) if run is not None and run.progress else Reply(204)
            case "POST", ("metrics", _, _):
                schemas.check(f"{PIPELINE}.operationMetricsBatch:OperationMetricsBatch", request.json)
                return Reply(204)
            case "POST", ("logs", fqn, run_id):
                return self._add_logs(fqn, run_id, request)
            case "GET", ("logs", fqn, run_id):
                logs = self._run(fqn, run_id).logs
                return Reply(200, {"logs": "".join(logs), "total": str(len(logs))})
            case "POST", ("logs", fqn, run_id, "close"):
                self._run(fqn, run_id).logs_closed = True
                return Reply(200, {"message": "closed"})
        return None

    def to_json(self, fqn: str | None) -> list[dict[str, Any]]:
        """All runs, or those of one pipeline, oldest first."""
        return [run.to_json() for run in self._of(fqn)]

    def _of(self, fqn: str | None) -> Iterator[Run]:
        return (run for run in self._runs.values() if fqn is None or run.fqn == fqn)

    def _run(self, fqn: str, run_id: str) -> Run:
        return self._runs.setdefault((fqn, run_id), Run(fqn, run_id))

    def _write_row(self, fqn: str, request: Request) -> Reply:
        row = request.json_object
        schemas.check(f"{PIPELINE}.ingestionPipeline:PipelineStatus", row)
        if not row.get("runId"):
            raise InvalidBodyError("PipelineStatus: runId is missing")
        self._run(fqn, row["runId"]).write(row, request)
        return Reply(200, row)

    def _list_rows(self, fqn: str, request: Request) -> Reply:
        start, end = int(request.query.get("startTs") or 0), int(request.query.get("endTs") or 2**63)
        rows = [run.row for run in self._of(fqn) if run.writes and start <= int(run.row.get("timestamp") or 0) <= end]
        rows.sort(key=lambda row: int(row.get("timestamp") or 0), reverse=True)
        if "limit" in request.query:
            rows = rows[: int(request.query["limit"])]
        return Reply(200, {"data": rows, "paging": {"total": len(rows)}})

    def _add_logs(self, fqn: str, run_id: str, request: Request) -> Reply:
        body = request.json_object
        logs = body.get("logs", "")
        if not isinstance(logs, str) or not isinstance(body.get("timestamp"), int):
            raise InvalidBodyError("a log batch has logs (a string) and timestamp (a number)")
        if body.get("compressed"):
            raise ApiError(
                501, "the fake OpenMetadata server keeps no compressed logs; the client never sends any by default"
            )
        self._run(fqn, run_id).logs.append(logs if logs.endswith("\n") or not logs else logs + "\n")
        return Reply(200, {"message": "stored"})
