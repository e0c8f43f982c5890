"""What makes a Job end without losing its history; pure functions.

A Job that runs gets a mark that says since when and on whose request it ends, and a deadline of one second:
Kubernetes then ends its pod with SIGTERM and keeps the Job as failed. A Job that is suspended does not count a
deadline, so it gets the mark alone: the operator records the run as stopped and deletes the Job.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.models.types import format_timestamp, parse_timestamp
from ingestion_operator.runs.classify import run_id

DEADLINE_SECONDS: Final = 1
"""What ends a Job at once: 0 is not allowed."""

_FINISHED: Final = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
_NAME_LIMIT: Final = 253
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far a person's clock may be ahead: a moment later than that would end runs that nobody has asked for yet."""

Job = dict[str, Any]


def has_finished(job: Job) -> bool:
    """Tell whether the Job has ended, or its end is decided."""
    conditions = job.get("status", {}).get("conditions", [])
    return any(c.get("type") in _FINISHED and c.get("status") == "True" for c in conditions)


def stop_patch(job: Job, caller: str, now: datetime) -> dict[str, Any] | None:
    """Return the merge patch that ends a Job which has not finished, None when it is being stopped already.

    It carries the resourceVersion: a Job that is admitted at the same moment has to be read anew.
    """
    metadata = job["metadata"]
    is_marked = constants.ANNOTATION_STOP in metadata.get("annotations", {})
    needs_deadline = not job["spec"].get("suspend") and job["spec"].get("activeDeadlineSeconds") != DEADLINE_SECONDS
    if metadata.get("deletionTimestamp") or (is_marked and not needs_deadline):
        return None
    patch: dict[str, Any] = {"metadata": {"resourceVersion": metadata["resourceVersion"]}}
    if not is_marked:
        patch["metadata"]["annotations"] = {
            constants.ANNOTATION_STOP: format_timestamp(now),
            constants.ANNOTATION_STOPPED_BY: caller[:_NAME_LIMIT],
        }
    if needs_deadline:
        patch["spec"] = {"activeDeadlineSeconds": DEADLINE_SECONDS}
    return patch


def to_kill(wish: str, jobs: Sequence[Job], now: datetime) -> list[Job]:
    """Return the Jobs that the value of the annotation `kill` names and that have not ended.

    A moment names every run that was asked for until then, a run id that run: neither ever names a run that comes
    later, so that the same value may be read any number of times.
    """
    moments, ids, _ = _read(wish, now)
    until = max(moments, default=None)
    return [
        job
        for job in jobs
        if not has_finished(job) and (run_id(job) in ids or (until is not None and _created(job) <= until))
    ]


def not_understood(wish: str, now: datetime) -> str:
    """Tell what the annotation `kill` has that names no run, and what to put in; empty if all is well."""
    _, _, problems = _read(wish, now)
    if not problems:
        return ""
    return (
        f"has {', '.join(problems)}: put in a run id, or a moment that has come, such as "
        '"$(date -u +%FT%TZ)", to end all runs that were asked for until then'
    )


def _read(wish: str, now: datetime) -> tuple[list[datetime], set[str], list[str]]:
    moments: list[datetime] = []
    ids: set[str] = set()
    problems: list[str] = []
    for item in filter(None, (part.strip() for part in wish.split(","))):
        try:
            moment = parse_timestamp(item)
        except ValueError:
            moment = None
        if moment is not None and moment > now + _CLOCKS_DIFFER:
            problems.append(f"{item!r}, which is still to come")
        elif moment is not None:
            moments.append(moment)
        elif _may_be_run_id(item):
            ids |= {item, item.lower()}
        else:
            problems.append(f"{item[: constants.RUN_ID_LIMIT]!r}, which is neither a moment nor a run id")
    return moments, ids, problems


def _may_be_run_id(text: str) -> bool:
    """Tell a run id from a word or half a time, which would otherwise silently name nothing."""
    looks_like_one = any(map(str.isdigit, text)) and not text.isdecimal() and ":" not in text
    return looks_like_one and len(text) <= constants.RUN_ID_LIMIT


def _created(job: Job) -> datetime:
    created = parse_timestamp(job["metadata"]["creationTimestamp"])
    if created is None:
        raise ValueError("a Job without creationTimestamp")
    return created
