"""The termination message, which the operator reads from the pod's status after the end of the container."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ingestion_runner.masking import Masker
from ingestion_runner.outcomes import Outcome, Reason
from ingestion_runner.text import cut, one_line

MAX_BYTES = 4096
"""The kubelet cuts off longer termination messages, which would break the JSON."""

VERSION = 1

ReportedBy = Literal["workflow", "runner", "none"]

_TEXT_LIMITS = (1024, 512, 256, 128, 64, 32, 0)


def summarize(
    outcome: Outcome,
    *,
    run_id: str | None,
    reported_by: ReportedBy,
    start_time: datetime,
    end_time: datetime,
    masker: Masker,
    final: bool = False,
    peak_memory: int | None = None,
) -> bytes:
    """Return the JSON summary in UTF-8, of at most MAX_BYTES, with masked secrets and without unknown values.

    An interruption is provisional unless it is ``final``: the operator knows why the pod was stopped. ``peak_memory``
    is that of the workflow's process, in bytes. Texts are shortened at character boundaries until the summary fits.
    """
    summary: dict[str, Any] = {
        "version": VERSION,
        "runId": run_id,
        "state": outcome.state.value,
        "reason": outcome.reason.value,
        "message": one_line(masker(outcome.message)),
        "startTime": _rfc3339(start_time),
        "endTime": _rfc3339(end_time),
        "records": outcome.records,
        "warnings": outcome.warnings,
        "errors": outcome.errors,
        "firstFailure": _first_failure(outcome.first_failure, masker),
        "peakMemory": peak_memory,
        "reportedBy": reported_by,
        "provisional": True if outcome.reason is Reason.INTERRUPTED and not final else None,
    }
    present = {key: value for key, value in summary.items() if value is not None}
    encoded = b""
    for limit in _TEXT_LIMITS:
        encoded = json.dumps(_shortened(present, limit), ensure_ascii=False).encode()
        if len(encoded) <= MAX_BYTES:
            break
    return encoded


def write_summary(summary: bytes, environ: Mapping[str, str] = os.environ) -> str | None:
    """Write the summary to TERMINATION_LOG or the kubelet's default path; return the error message, or None."""
    path = Path(environ.get("TERMINATION_LOG") or "/dev/termination-log")
    try:
        path.write_bytes(summary)
    except OSError as error:
        return f"the termination message could not be written to {path}: {error.strerror}"
    return None


def _first_failure(failure: Mapping[str, str] | None, masker: Masker) -> dict[str, str] | None:
    if not failure:
        return None
    return {key: one_line(masker(str(failure.get(key) or ""))) for key in ("name", "error")}


def _shortened(summary: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {
        key: {inner: cut(text, limit) for inner, text in value.items()}
        if isinstance(value, dict)
        else cut(value, limit)
        if key == "message"
        else value
        for key, value in summary.items()
    }


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
