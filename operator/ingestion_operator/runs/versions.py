"""Compatibility of a server with the openmetadata-ingestion of its runs: they must have the same major.minor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

VERSION_MISMATCH: Final = "VersionMismatch"
_MINOR = re.compile(r"[0-9]+\.[0-9]+(?![0-9])")


@dataclass(frozen=True)
class VersionFinding:
    """The result of a comparison; the problem is empty if the versions match."""

    problem: str


def compare_versions(host_port: str, server: str, library: str, offered: Sequence[str]) -> VersionFinding | None:
    """Compare a server's version with the library of the chosen image; None if a version cannot be parsed.

    `offered` are the minor versions with an image.
    """
    of_server, of_library = _MINOR.match(server), _MINOR.match(library)
    if of_server is None or of_library is None:
        return None
    if of_server[0] == of_library[0]:
        return VersionFinding("")
    fix = f"set spec.server.version to {of_server[0]!r}"
    if of_server[0] not in offered:
        fix = f"add an image for {of_server[0]!r} to runnerImages in the operator's settings, and {fix}"
    return VersionFinding(
        f"OpenMetadata at {host_port} has version {server}, but runs would use openmetadata-ingestion {library}, "
        f"which refuses to work with it: {fix}"
    )
