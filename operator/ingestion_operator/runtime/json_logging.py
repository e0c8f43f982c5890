"""Log lines as JSON, one object per line, with the fields of the current log context."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

LogFormat = Literal["json", "text"]

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_context: ContextVar[dict[str, str]] = ContextVar("log_about", default={})  # noqa: B039  never changed in place


@contextmanager
def log_context(**keys: str) -> Iterator[None]:
    """Add `keys` to every line that is logged in the block, in tasks and threads that are started there too."""
    token = _context.set(_context.get() | keys)
    try:
        yield
    finally:
        _context.reset(token)


class JsonLines(logging.Formatter):
    """One JSON object per record; `extra={"fields": {…}}` adds keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without line breaks."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _of_kopf(record) | _context.get() | getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(log_format: LogFormat = "json") -> None:
    """Log to standard error, at level INFO."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _of_kopf(record: logging.LogRecord) -> dict[str, str]:
    """Return the keys of the object that a line of kopf refers to."""
    reference = getattr(record, "k8s_ref", None)
    if not isinstance(reference, dict):
        return {}
    keys = {"namespace": reference.get("namespace"), "kind": reference.get("kind"), "name": reference.get("name")}
    return {key: value for key, value in keys.items() if value}
