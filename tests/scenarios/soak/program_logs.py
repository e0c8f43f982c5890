"""What the programs' own logs must not have; pure."""

import json
from collections.abc import Iterable
from typing import Any, Final

_OURS: Final = "ingestion_operator"
_POOL: Final = "Connection pool is full"


def problems(program: str, lines: Iterable[str]) -> list[str]:
    """Return the lines that show a mistake: an unexpected error, a connection made for one call."""
    return [
        f"the {program} logged {entry['message'].splitlines()[0]}"
        for entry in map(_entry, lines)
        if (entry["level"] == "ERROR" and entry["logger"].startswith(_OURS)) or _POOL in entry["message"]
    ]


def _entry(line: str) -> dict[str, Any]:
    """Return a line as its fields; what is none of the program's lines, such as a traceback at its end, is an error."""
    try:
        return {"level": "", "logger": "", "message": "", **json.loads(line)}
    except ValueError:
        return {"level": "ERROR", "logger": _OURS, "message": line}
