"""Which attempts of a run count as failures, and whether another one follows; pure functions.

Three counts run side by side. Kubernetes counts failed pods up to backoffLimit, except those that were drained,
preempted or evicted since their node ran short. Of these the operator counts the ones that used more than they
requested against the same limit, and the others against retry.disruptions (`runs.disruptions`).
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
    next_size,
    retries_left,
    sizes_of,
)

NOT_REPEATED = (constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE)
"""Exit codes after which another attempt would fail alike."""


def attempts_of(job: Job, pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods of a Job, oldest first; those that were taken back for more memory are superseded."""
    ordered = sorted(pods, key=lambda pod: pod.age)
    attempts = [pod.attempt for pod in ordered]
    return [
        replace(pod, reason=SUPERSEDED) if is_superseded(job, attempts, index) else pod
        for index, pod in enumerate(ordered)
    ]


def counted_by_kubernetes(attempts: Sequence[Pod]) -> int:
    """Return how many failures the Job has, as soon as its pods show them."""
    return sum(
        pod.is_finished and not pod.is_disrupted and pod.exit_code != 0 and pod.reason != SUPERSEDED for pod in attempts
    )


def is_used_up(job: Job, attempts: Sequence[Pod]) -> bool:
    """Return whether no retry is left once evictions for the pods' own use count, which Kubernetes ignores."""
    evicted = sum(pod.is_over_request for pod in attempts)
    left = retries_left(job, [pod.attempt for pod in attempts], counted_by_kubernetes(attempts))
    return evicted > 0 and left < evicted


def has_another_attempt(job: Job, attempts: Sequence[Pod], last: Pod) -> bool:
    """Return whether Kubernetes makes another pod after `last`, which has failed, and the operator lets it."""
    if last.exit_code in NOT_REPEATED:
        return False
    if last.is_disrupted:
        return True
    failures = counted_by_kubernetes(attempts)
    if failures > job.backoff_limit:
        return False
    if not sizes_of(job):
        return True
    if last.reason == OUT_OF_MEMORY:
        return next_size(job, last.memory) is not None
    return retries_left(job, [pod.attempt for pod in attempts], failures) >= 0
