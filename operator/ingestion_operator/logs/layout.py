"""The keys of a log in the archive: numbered segments, whose names replace an index; pure.

    <namespace>/<pipeline's CronJob>/<run>/<pod>/00000007-182044-1764021600123456789-4096.gz

is segment 7: 182,044 characters, and the log continues at the position 1764021600123456789, 4096. A name that ends in
`-end.gz` is the last segment of a complete log. A segment is UTF-8 in one or several gzip members, and contains only
complete characters. A small segment is replaced by a longer one with the same number; of two, the longer one counts.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ingestion_operator.logs.cursor import START, Position
from ingestion_operator.runs.pods import Pod

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEGMENT: Final = re.compile(r"(\d{8})-(\d+)-(\d+)-(\d+)(-end)?\.gz")
_HASH_LENGTH: Final = 32
_RUN_DEPTH: Final = 3


@dataclass(frozen=True)
class RunKey:
    """A run, and the folder of its log."""

    namespace: str
    pipeline: str
    """The name of the pipeline's CronJob."""
    run_id: str

    @property
    def folder(self) -> str:
        """The key of the folder. A run id may be any text: if it is not a UUID, it is hashed."""
        run = self.run_id
        if not _UUID.fullmatch(run):
            run = hashlib.sha256(run.encode()).hexdigest()[:_HASH_LENGTH]
        return f"{self.namespace}/{self.pipeline}/{run}"


@dataclass(frozen=True)
class AttemptKey:
    """One pod of a run, and the folder of its log."""

    run: RunKey
    pod: str

    @property
    def folder(self) -> str:
        """The key of the folder."""
        return f"{self.run.folder}/{self.pod}"


def attempt_of(pod: Pod) -> AttemptKey | None:
    """Return the attempt of a pod, or None if the pod does not belong to a run."""
    if not pod.pipeline or not pod.run_id:
        return None
    return AttemptKey(RunKey(pod.namespace, pod.pipeline, pod.run_id), pod.name)


@dataclass(frozen=True)
class Segment:
    """A part of a log, as described by its name."""

    number: int
    characters: int
    position: Position
    """Where the log continues after the segment."""
    is_end: bool = False

    @property
    def name(self) -> str:
        """The last part of its key."""
        end = "-end" if self.is_end else ""
        return f"{self.number:08}-{self.characters}-{self.position.nanoseconds}-{self.position.offset}{end}.gz"

    @classmethod
    def parse(cls, name: str) -> "Segment | None":
        """Return the segment of a name, or None if the name is not that of a segment."""
        match = _SEGMENT.fullmatch(name)
        if match is None:
            return None
        number, characters, nanoseconds, offset = (int(group) for group in match.groups()[:4])
        return cls(number, characters, Position(nanoseconds, offset), is_end=match[5] is not None)


@dataclass(frozen=True)
class StoredLog:
    """The part of an attempt's log that is in the archive."""

    segments: tuple[Segment, ...] = ()
    """In order."""

    @property
    def characters(self) -> int:
        """The number of archived characters."""
        return sum(segment.characters for segment in self.segments)

    @property
    def position(self) -> Position:
        """Where the log continues."""
        return self.segments[-1].position if self.segments else START

    @property
    def is_complete(self) -> bool:
        """Whether the log is archived completely."""
        return bool(self.segments) and self.segments[-1].is_end


def stored_log(names: Iterable[str]) -> StoredLog:
    """Return the log of the segments among these names; other names are ignored."""
    segments: dict[int, Segment] = {}
    for segment in filter(None, map(Segment.parse, names)):
        known = segments.get(segment.number)
        if known is None or _progress(segment) > _progress(known):
            segments[segment.number] = segment
    return StoredLog(tuple(segments[number] for number in sorted(segments)))


def _progress(segment: Segment) -> tuple[int, Position, bool]:
    return segment.characters, segment.position, segment.is_end


def run_folder_of(key: str) -> str | None:
    """Return the folder of the run that an object belongs to, or None if the object is not a segment."""
    *folders, name = key.split("/")
    if len(folders) != _RUN_DEPTH + 1 or Segment.parse(name) is None:
        return None
    return "/".join(folders[:_RUN_DEPTH])
