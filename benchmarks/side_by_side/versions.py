"""Which versions were measured, by the lock that installed them."""

import re
from pathlib import Path
from typing import Final

_SHOWN: Final = ("apache-airflow", "openmetadata-managed-apis", "openmetadata-ingestion")
_PINNED: Final = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def versions(lock: Path) -> dict[str, str]:
    """Return the versions of what a reader asks for."""
    pinned = dict(_PINNED.findall(lock.read_text()))
    return {name: pinned[name] for name in _SHOWN}
