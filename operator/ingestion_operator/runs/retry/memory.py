"""Memory limits of runs that were out of memory, and their remaining retries; pure functions.

A Job is a snapshot: an annotation, written when it was rendered, has the memory limits after the first. The limit in
its template is the current one. Its backoffLimit covers two kinds of failures: it allows retry.limit failures of any
kind and one more for each further limit.
"""

from collections.abc import Sequence
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Attempt
from ingestion_operator.k8s.quantities import is_less, is_quantity, same_quantity
from ingestion_operator.runs.jobs import Job

OUT_OF_MEMORY: Final = "OutOfMemory"
SUPERSEDED: Final = "Superseded"
"""Reason of an attempt that started with the old limit and was interrupted to raise the limit."""

_INTERRUPTED: Final = (None, 137, 143)
"""Exit codes of a container that Kubernetes has terminated, or that never started."""


def larger_memory_limits(job: Job) -> list[str]:
    """Return the memory limits after the first. Kueue's Jobs have none: only Kueue suspends and resumes them."""
    if job.queue_name:
        return []
    return [one for one in job.annotation(constants.ANNOTATION_MEMORY_LIMITS).split(",") if is_quantity(one)]


def current_limit(job: Job) -> str | None:
    """Return the memory limit of the Job's next pod; None if it has none or an invalid one."""
    return job.memory_limit if job.memory_limit is not None and is_quantity(job.memory_limit) else None


def next_memory_limit(job: Job, limit: str | None) -> str | None:
    """Return the memory limit that follows `limit`; None if there is none."""
    if limit is None or not is_quantity(limit):
        return None
    return next((one for one in larger_memory_limits(job) if is_less(limit, one)), None)


def is_between_memory_limits(job: Job) -> bool:
    """Return whether a Job is suspended to raise its memory limit: its run is active, not queued."""
    return job.is_suspended and constants.ANNOTATION_NEXT_MEMORY_LIMIT in job.annotations


def has_larger_limit(job: Job) -> bool:
    """Return whether the Job has a later limit than the first, so that an attempt ran before, maybe in another Job."""
    limit = current_limit(job)
    return limit is not None and any(same_quantity(limit, one) for one in larger_memory_limits(job))


def retries_left(job: Job, attempts: Sequence[Attempt], failures: int) -> int:
    """Return how many more attempts may fail for other reasons than memory; negative if too many have failed.

    Args:
        job: The Job.
        attempts: The attempts whose pods exist.
        failures: Number of these that Kubernetes counts as failures, which may be ahead of the Job's status.
    """
    limit, larger = current_limit(job), larger_memory_limits(job)
    left = job.backoff_limit - max(failures, job.failed)
    if not larger:
        return left
    further = sum(limit is not None and is_less(limit, one) for one in larger)
    return left - further + out_of_memory_within(limit, attempts)


def out_of_memory_within(limit: str | None, attempts: Sequence[Attempt]) -> int:
    """Return how many attempts ran out of memory with at least `limit`, the current one.

    More than one means that the operator was not running and could not raise it.
    """
    if limit is None:
        return 0
    return sum(a.reason == OUT_OF_MEMORY and a.memory is not None and not is_less(a.memory, limit) for a in attempts)


def is_superseded(job: Job, attempts: Sequence[Attempt], index: int) -> bool:
    """Return whether an attempt was interrupted to raise the limit, after an earlier one with it was out of memory."""
    one = attempts[index]
    if one.memory is None or one.reason == OUT_OF_MEMORY or one.exit_code not in _INTERRUPTED:
        return False
    limit = current_limit(job)
    was_too_small = any(
        a.reason == OUT_OF_MEMORY and a.memory and not is_less(a.memory, one.memory) for a in attempts[:index]
    )
    is_last_with_limit = all(a.memory and is_less(one.memory, a.memory) for a in attempts[index + 1 :])
    is_replaced = is_between_memory_limits(job) or (limit is not None and is_less(one.memory, limit))
    return was_too_small and is_last_with_limit and is_replaced


def out_of_memory_message(job: Job, attempts: Sequence[Attempt]) -> str:
    """Return the message of a run that was out of memory and is retried."""
    numbers = [number for number, one in enumerate(attempts, 1) if one.reason == OUT_OF_MEMORY and one.memory]
    if not numbers:
        following = job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)
        return f"An attempt ran out of memory; the next one gets {following}"
    memory = attempts[numbers[-1] - 1].memory
    return (
        f"Attempt {numbers[-1]} ran out of memory within {memory}; the next one gets {next_memory_limit(job, memory)}"
    )


def memory_fix(job: Job, last: Attempt) -> str:
    """Return the fix for a run that ended out of memory."""
    within = (
        f"{last.memory} was not enough" if last.memory else "It has no memory limit, and its node was out of memory"
    )
    if refusal := job.annotation(constants.ANNOTATION_MEMORY_RESIZE_ERROR):
        return f"{within}, and Kubernetes rejects a higher limit: {refusal}"
    if next_memory_limit(job, last.memory) is not None:
        return f"{within}, and no attempt was left: Kubernetes retried with this limit without the operator"
    if larger_memory_limits(job):
        return f"{within}: raise spec.retry.onOutOfMemory.maxMemory"
    return f"{within}: raise spec.podTemplate.container.resources.limits.memory, or set spec.retry.onOutOfMemory"
