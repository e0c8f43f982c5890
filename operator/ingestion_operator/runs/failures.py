"""Which attempts of a run count as failures, and whether another one follows; pure functions.

There are three counts. Kubernetes counts failed pods up to backoffLimit, except those that were drained, preempted or
evicted under node pressure. Of these the operator counts pods that used more than they requested against the same
limit, and the others against retry.disruptions (`runs.retry.disruptions`).
"""

from collections.abc import Sequence
from dataclasses import replace

from ingestion_operator import constants
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runs.retry.memory import (
    OUT_OF_MEMORY,
    SUPERSEDED,
    is_superseded,
    larger_memory_limits,
    next_memory_limit,
    retries_left,
)

NOT_RETRIED = (constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE)
"""Exit codes after which another attempt would fail in the same way."""


def attempts_of(job: Job, pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods of a Job, oldest first; those interrupted to raise the memory limit have reason SUPERSEDED."""
    ordered = sorted(pods, key=lambda pod: pod.age)
    attempts = [pod.attempt for pod in ordered]
    return [
        replace(pod, reason=SUPERSEDED) if is_superseded(job, attempts, index) else pod
        for index, pod in enumerate(ordered)
    ]


def counted_by_kubernetes(attempts: Sequence[Pod]) -> int:
    """Return the number of failures that Kubernetes counts, from the pods, which may be ahead of the Job's status."""
    return sum(
        pod.is_finished and not pod.is_disrupted and pod.exit_code != 0 and pod.reason != SUPERSEDED for pod in attempts
    )


def is_used_up(job: Job, attempts: Sequence[Pod]) -> bool:
    """Return whether no retry is left if evictions for exceeding requests are counted, which Kubernetes ignores."""
    evicted = sum(pod.is_over_request for pod in attempts)
    left = retries_left(job, [pod.attempt for pod in attempts], counted_by_kubernetes(attempts))
    return evicted > 0 and left < evicted


def has_another_attempt(job: Job, attempts: Sequence[Pod], last: Pod) -> bool:
    """Return whether another attempt follows `last`, which has failed."""
    if last.exit_code in NOT_RETRIED:
        return False
    if last.is_disrupted:
        return True
    failures = counted_by_kubernetes(attempts)
    if failures > job.backoff_limit:
        return False
    if not larger_memory_limits(job):
        return True
    if last.reason == OUT_OF_MEMORY:
        return next_memory_limit(job, last.memory) is not None
    return retries_left(job, [pod.attempt for pod in attempts], failures) >= 0
