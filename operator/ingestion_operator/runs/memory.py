"""Runs that have run out of memory: how far they have come, and how many failures are left; pure functions.

A Job is a snapshot: the sizes that may follow its first stand in an annotation, written when it was rendered. The
limit in its template tells how far it has come. Its backoffLimit is one budget for two kinds of failures: it allows
retry.limit failures of any kind and one more for each size.
"""

from collections.abc import Sequence
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.memory_sizes import is_less, is_quantity, limit_of
from ingestion_operator.models.status import Attempt
from ingestion_operator.plan import same_quantity

OUT_OF_MEMORY: Final = "OutOfMemory"
SUPERSEDED: Final = "Superseded"
"""Reason of an attempt that was begun with the old size while more memory was on its way, and taken back."""

_INTERRUPTED: Final = (None, 137, 143)
"""Exit codes of a container that Kubernetes has ended, or that never began."""

Job = dict[str, Any]


def current_limit(job: Job) -> str | None:
    """Return the memory limit that the Job's next pod gets."""
    return limit_of(job["spec"]["template"].get("spec", {}))


def sizes_of(job: Job) -> list[str]:
    """Return the sizes that may follow the run's first. Kueue's Jobs have none: it alone suspends and resumes them."""
    metadata = job["metadata"]
    if constants.LABEL_QUEUE_NAME in metadata.get("labels", {}):
        return []
    text = metadata.get("annotations", {}).get(constants.ANNOTATION_MEMORY_SIZES, "")
    return [size for size in text.split(",") if is_quantity(size)]


def next_size(job: Job, limit: str | None) -> str | None:
    """Return the size that follows `limit`, None if there is none."""
    if limit is None or not is_quantity(limit):
        return None
    return next((size for size in sizes_of(job) if is_less(limit, size)), None)


def is_between_sizes(job: Job) -> bool:
    """Tell whether a Job is suspended because its run ran out of memory: it is under way, and does not wait."""
    annotations = job["metadata"].get("annotations", {})
    return bool(job["spec"].get("suspend")) and constants.ANNOTATION_MEMORY_STEP in annotations


def has_grown(job: Job) -> bool:
    """Tell whether the Job has a later size than the first: its run has had an attempt, if only in an earlier Job."""
    limit = current_limit(job)
    return limit is not None and any(same_quantity(limit, size) for size in sizes_of(job))


def retries_left(job: Job, attempts: Sequence[Attempt], failures: int) -> int:
    """Return how many more attempts may fail for other reasons than memory; below 0 one too many has.

    `attempts` are those whose pods are there; `failures` are the ones among them that Kubernetes counts, which may
    be ahead of what the Job's status says.
    """
    limit = current_limit(job)
    failed = max(failures, int(job.get("status", {}).get("failed", 0)))
    steps = sum(limit is not None and is_less(limit, size) for size in sizes_of(job))
    return int(job["spec"].get("backoffLimit", 6)) - failed - steps + out_of_memory_within(limit, attempts)


def out_of_memory_within(limit: str | None, attempts: Sequence[Attempt]) -> int:
    """Return how many attempts ran out of memory with no less than `limit`, the present one.

    More than one if nobody was there to raise it.
    """
    if limit is None:
        return 0
    return sum(a.reason == OUT_OF_MEMORY and a.memory is not None and not is_less(a.memory, limit) for a in attempts)


def is_superseded(job: Job, attempts: Sequence[Attempt], index: int) -> bool:
    """Tell whether an attempt was taken back: begun with a size that had proved too small, ended for a larger one."""
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
        size = job["metadata"].get("annotations", {}).get(constants.ANNOTATION_MEMORY_STEP)
        return f"An attempt ran out of memory; the next one gets {size}"
    memory = attempts[numbers[-1] - 1].memory
    return f"Attempt {numbers[-1]} ran out of memory within {memory}; the next one gets {next_size(job, memory)}"


def what_to_raise(job: Job, last: Attempt) -> str:
    """Tell what would have helped a run that ended out of memory."""
    within = f"{last.memory} was not enough" if last.memory else "It has no limit of its own: its node ran out"
    if refusal := job["metadata"].get("annotations", {}).get(constants.ANNOTATION_MEMORY_REFUSED):
        return f"{within}, and Kubernetes refuses more: {refusal}"
    if next_size(job, last.memory) is not None:
        return f"{within}, and no attempt was left: they were repeated with the same size while the operator was away"
    if sizes_of(job):
        return f"{within}: raise spec.retry.onOutOfMemory.maxMemory"
    return f"{within}: raise spec.podTemplate.container.resources.limits.memory, or set spec.retry.onOutOfMemory"
