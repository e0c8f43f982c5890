"""Runs that ran out of memory: which size follows, and how many retries are left; pure functions.

A Job is a snapshot: the sizes that may follow its first stand in an annotation, written when it was rendered. The
limit in its template is the present size. Its backoffLimit is one budget for two kinds of failures: it allows
retry.limit failures of any kind and one more for each size.
"""

from collections.abc import Sequence
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Attempt
from ingestion_operator.k8s.diff import same_quantity
from ingestion_operator.k8s.memory import is_less, is_quantity
from ingestion_operator.runs.jobs import Job

OUT_OF_MEMORY: Final = "OutOfMemory"
SUPERSEDED: Final = "Superseded"
"""Reason of an attempt that was begun with the old size while more memory was on its way, and taken back."""

_INTERRUPTED: Final = (None, 137, 143)
"""Exit codes of a container that Kubernetes has ended, or that never began."""


def sizes_of(job: Job) -> list[str]:
    """Return the sizes that may follow the run's first. Kueue's Jobs have none: it alone suspends and resumes them."""
    if job.queue_name:
        return []
    return [size for size in job.annotation(constants.ANNOTATION_MEMORY_LIMITS).split(",") if is_quantity(size)]


def current_limit(job: Job) -> str | None:
    """Return the memory limit that the Job's next pod gets; None if there is none, or Kubernetes would refuse it."""
    return job.memory_limit if job.memory_limit is not None and is_quantity(job.memory_limit) else None


def next_size(job: Job, limit: str | None) -> str | None:
    """Return the size that follows `limit`, None if there is none."""
    if limit is None or not is_quantity(limit):
        return None
    return next((size for size in sizes_of(job) if is_less(limit, size)), None)


def is_between_sizes(job: Job) -> bool:
    """Return whether a Job is suspended because its run ran out of memory: the run is under way, not in the queue."""
    return job.is_suspended and constants.ANNOTATION_NEXT_MEMORY_LIMIT in job.annotations


def has_grown(job: Job) -> bool:
    """Return whether the Job has a later size than the first: an attempt ran before, if only in an earlier Job."""
    limit = current_limit(job)
    return limit is not None and any(same_quantity(limit, size) for size in sizes_of(job))


def retries_left(job: Job, attempts: Sequence[Attempt], failures: int) -> int:
    """Return how many more attempts may fail for other reasons than memory; below 0, one too many has.

    `attempts` are those whose pods exist; `failures` are the ones among them that Kubernetes counts, which may
    be ahead of the Job's status.
    """
    limit, sizes = current_limit(job), sizes_of(job)
    left = job.backoff_limit - max(failures, job.failed)
    if not sizes:
        return left
    steps = sum(limit is not None and is_less(limit, size) for size in sizes)
    return left - steps + out_of_memory_within(limit, attempts)


def out_of_memory_within(limit: str | None, attempts: Sequence[Attempt]) -> int:
    """Return how many attempts ran out of memory with no less than `limit`, the present one.

    More than one if the operator was away and did not raise it.
    """
    if limit is None:
        return 0
    return sum(a.reason == OUT_OF_MEMORY and a.memory is not None and not is_less(a.memory, limit) for a in attempts)


def is_superseded(job: Job, attempts: Sequence[Attempt], index: int) -> bool:
    """Return whether an attempt was taken back: begun with a size that had proved too small, ended for a larger one."""
    one = attempts[index]
    if one.memory is None or one.reason == OUT_OF_MEMORY or one.exit_code not in _INTERRUPTED:
        return False
    limit = current_limit(job)
    was_outgrown = any(
        a.reason == OUT_OF_MEMORY and a.memory and not is_less(a.memory, one.memory) for a in attempts[:index]
    )
    is_last_of_its_size = all(a.memory and is_less(one.memory, a.memory) for a in attempts[index + 1 :])
    is_replaced = is_between_sizes(job) or (limit is not None and is_less(one.memory, limit))
    return was_outgrown and is_last_of_its_size and is_replaced


def next_attempt_gets_more(job: Job, attempts: Sequence[Attempt]) -> str:
    """Return the message of a run that has run out of memory and goes on."""
    numbers = [number for number, one in enumerate(attempts, 1) if one.reason == OUT_OF_MEMORY and one.memory]
    if not numbers:
        size = job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)
        return f"An attempt ran out of memory; the next one gets {size}"
    memory = attempts[numbers[-1] - 1].memory
    return f"Attempt {numbers[-1]} ran out of memory within {memory}; the next one gets {next_size(job, memory)}"


def what_to_raise(job: Job, last: Attempt) -> str:
    """Return what would have helped a run that ended out of memory."""
    within = f"{last.memory} was not enough" if last.memory else "It has no limit of its own: its node ran out"
    if refusal := job.annotation(constants.ANNOTATION_MEMORY_RESIZE_ERROR):
        return f"{within}, and Kubernetes refuses more: {refusal}"
    if next_size(job, last.memory) is not None:
        return f"{within}, and no attempt was left: they were repeated with the same size while the operator was away"
    if sizes_of(job):
        return f"{within}: raise spec.retry.onOutOfMemory.maxMemory"
    return f"{within}: raise spec.podTemplate.container.resources.limits.memory, or set spec.retry.onOutOfMemory"
