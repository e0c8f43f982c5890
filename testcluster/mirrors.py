"""Which Debian mirror this machine uses: the repository names none."""

import re
from collections.abc import Iterator
from pathlib import Path

from testcluster.errors import TestClusterError

_APT = Path("/etc/apt")


def find(suite: str, apt: Path = _APT) -> str:
    """The first mirror that the machine is configured to use for a Debian release.

    Raises TestClusterError when no line of apt's configuration names the release.
    """
    for mirror, suites in _entries(apt):
        if suite in suites:
            return mirror
    raise TestClusterError(
        f"no Debian mirror with the suite {suite} is configured in {apt}/sources.list*: add one, "
        "or start Docker, which needs no mirror"
    )


def _entries(apt: Path) -> Iterator[tuple[str, list[str]]]:
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            yield from _lines(path.read_text())
        elif path.suffix == ".sources":
            yield from _paragraphs(path.read_text())


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """Entries such as ``deb [signed-by=...] http://mirror/debian bookworm main``."""
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
        if found:
            yield found[1], [found[2]]


def _paragraphs(text: str) -> Iterator[tuple[str, list[str]]]:
    """Entries of the newer format, paragraphs of ``Key: value`` lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        unfolded = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
        pairs = [line.partition(":") for line in unfolded.splitlines()]
        fields = {key.strip().lower(): value.split() for key, _, value in pairs}
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for mirror in fields.get("uris", []):
            yield mirror, fields.get("suites", [])
