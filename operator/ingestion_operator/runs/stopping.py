"""Stops and terminations of Jobs that keep the history of the run; pure functions.

A running Job gets annotations with the time and the author of the stop request, and a deadline of one second:
Kubernetes then terminates its pod with SIGTERM and keeps the Job as failed. For a suspended Job a deadline has no
effect. It gets only the annotations: the operator records the run as stopped and deletes the Job.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.k8s.timestamps import format_timestamp, read_time
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.truncate import cut

DEADLINE_SECONDS: Final = 1
"""The shortest deadline of a Job: 0 is not allowed."""

REPLACED_BY: Final = "a newer run, since concurrency.policy is Replace"
"""The caller that stops a run for a newer one."""

_NAME_LIMIT: Final = 253
_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a user's clock may be ahead. A later time would stop runs that do not exist yet."""


def stop(job: Job, caller: str, now: datetime) -> PatchJob | None:
    """Return the patch that stops an unfinished Job; None if it is already being stopped.

    The patch has the resourceVersion: a Job that is admitted at the same time must be read again.
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
        "stop",
        annotations={} if is_stopped else request,
        spec={"activeDeadlineSeconds": DEADLINE_SECONDS} if needs_deadline else {},
    )


def fail(job: Job, reason: str, message: str) -> PatchJob:
    """Return the patch that terminates a Job whose run the operator has decided to be failed.

    The annotation keeps reason and message, since their source may be deleted with the pod.
    """
    return PatchJob(
        job,
        f"terminate ({reason})",
        annotations={
            constants.ANNOTATION_TERMINATED_REASON: f"{reason}: {cut(message, constants.MESSAGE_LIMIT_BYTES)}"
        },
        spec={"activeDeadlineSeconds": DEADLINE_SECONDS},
    )


def is_ending(job: Job) -> bool:
    """Return whether the Job has finished, or a stop, termination or deletion is requested."""
    requests = {constants.ANNOTATION_STOP, constants.ANNOTATION_TERMINATED_REASON}
    return job.has_finished or job.is_deleting or bool(job.annotations.keys() & requests)


def to_kill(request: str, jobs: Sequence[Job], now: datetime) -> list[Job]:
    """Return the unfinished Jobs that `request`, the value of the annotation `kill`, selects.

    A time selects the runs requested up to then, a run id selects that run. Neither ever selects a later run, so that
    the value may stay on the pipeline.
    """
    times, ids, _ = _parse_kill_request(request, now)
    until = max(times, default=None)
    return [
        job
        for job in jobs
        if not job.has_finished and (job.run_id in ids or (until is not None and job.created <= until))
    ]


def invalid_kill_request(request: str, now: datetime) -> str:
    """Return the problem of a value of the annotation `kill` and its fix; empty if the value is valid."""
    _, _, problems = _parse_kill_request(request, now)
    if not problems:
        return ""
    return (
        f"has {', '.join(problems)}: set it to a run id, or to a time that is not in the future, such as "
        '"$(date -u +%FT%TZ)", which stops all runs requested up to then'
    )


def _parse_kill_request(request: str, now: datetime) -> tuple[list[datetime], set[str], list[str]]:
    times: list[datetime] = []
    ids: set[str] = set()
    problems: list[str] = []
    for item in filter(None, (part.strip() for part in request.split(","))):
        time = read_time(item)
        if time is not None and time > now + _CLOCK_SKEW:
            problems.append(f"{item!r}, which is in the future")
        elif time is not None:
            times.append(time)
        elif _may_be_run_id(item):
            ids |= {item, item.lower()}
        else:
            problems.append(f"{item[: constants.RUN_ID_LIMIT]!r}, which is neither a time nor a run id")
    return times, ids, problems


def _may_be_run_id(text: str) -> bool:
    """Return whether a text may be a run id. A word or an incomplete time is not, since it would select nothing."""
    has_run_id_form = any(map(str.isdigit, text)) and not text.isdecimal() and ":" not in text
    return has_run_id_form and len(text) <= constants.RUN_ID_LIMIT
