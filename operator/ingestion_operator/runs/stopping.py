"""What makes a Job end without losing its history; pure functions.

A Job that runs gets an annotation with when and at whose request it ends, and a deadline of one second: Kubernetes
then ends its pod with SIGTERM and keeps the Job as failed. A Job that is suspended does not count a deadline, so it
gets the annotation alone: the operator records the run as stopped and deletes the Job.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.types import format_timestamp
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.jobs import Job, read_time
from ingestion_operator.runs.truncate import cut

DEADLINE_SECONDS: Final = 1
"""What ends a Job at once: 0 is not allowed."""

REPLACED_BY: Final = "a newer run, since concurrency.policy is Replace"
"""The caller that ends a run for a newer one."""

_NAME_LIMIT: Final = 253
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far a person's clock may be ahead: a later moment would end runs that do not exist yet."""


def stop(job: Job, caller: str, now: datetime) -> PatchJob | None:
    """Return what ends a Job that has not finished; None when it is being stopped already.

    The patch carries the resourceVersion: a Job that is admitted at the same moment has to be read again.
    """
    is_stopped = constants.ANNOTATION_STOP in job.annotations
    needs_deadline = not job.is_suspended and job.deadline_seconds != DEADLINE_SECONDS
    if job.is_deleting or (is_stopped and not needs_deadline):
        return None
    request = {
        constants.ANNOTATION_STOP: format_timestamp(now),
        constants.ANNOTATION_STOPPED_BY: caller[:_NAME_LIMIT],
    }
    return PatchJob(
        job,
        "stop it",
        annotations={} if is_stopped else request,
        spec={"activeDeadlineSeconds": DEADLINE_SECONDS} if needs_deadline else {},
    )


def fail(job: Job, reason: str, message: str) -> PatchJob:
    """Return what ends a Job whose run has failed in the operator's judgement.

    The annotation keeps reason and message: what they follow from may be gone with the pod.
    """
    return PatchJob(
        job,
        f"end it ({reason})",
        annotations={
            constants.ANNOTATION_TERMINATED_REASON: f"{reason}: {cut(message, constants.MESSAGE_LIMIT_BYTES)}"
        },
        spec={"activeDeadlineSeconds": DEADLINE_SECONDS},
    )


def is_ending(job: Job) -> bool:
    """Return whether the Job has ended or its end is requested."""
    requests = {constants.ANNOTATION_STOP, constants.ANNOTATION_TERMINATED_REASON}
    return job.has_finished or job.is_deleting or bool(job.annotations.keys() & requests)


def to_kill(wish: str, jobs: Sequence[Job], now: datetime) -> list[Job]:
    """Return the Jobs that the value of the annotation `kill` names and that have not ended.

    A moment names every run that was requested until then, a run id that run: neither ever names a run that comes
    later, so that the same value may be read any number of times.
    """
    moments, ids, _ = _read(wish, now)
    until = max(moments, default=None)
    return [
        job
        for job in jobs
        if not job.has_finished and (job.run_id in ids or (until is not None and job.created <= until))
    ]


def not_understood(wish: str, now: datetime) -> str:
    """Return what in the annotation `kill` names no run, and what to write instead; empty if all is well."""
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
        moment = read_time(item)
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
    """Return whether a text may be a run id: a word or half a time would silently name nothing."""
    has_its_form = any(map(str.isdigit, text)) and not text.isdecimal() and ":" not in text
    return has_its_form and len(text) <= constants.RUN_ID_LIMIT
