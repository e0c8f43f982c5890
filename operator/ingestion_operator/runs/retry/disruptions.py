"""Limits for runs whose pods are repeatedly evicted, drained, preempted or lost with their node; pure functions.

Kubernetes replaces such pods without counting a failure, and without limit. The operator terminates the run after
retry.disruptions disruptions, or when evictions of pods that used more than they requested have used up the Job's
retries.
"""

from collections.abc import Sequence

from ingestion_operator.api.status import Run
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.failures import attempts_of, is_used_up
from ingestion_operator.runs.history import is_finished
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pods import Pod, own_pods
from ingestion_operator.runs.stopping import fail, is_ending

TOO_OFTEN = "DisruptedTooOften"
EVICTED = "Evicted"
_NEW_POD_TERMINATED = "A pod that had started in the meantime was terminated with the Job"


def decide(jobs: Sequence[Job], pods: Sequence[Pod], runs: Sequence[Run], limit: int) -> list[PatchJob]:
    """Return the terminations of Jobs whose runs were disrupted more often than `limit`, which is retry.disruptions.

    Evictions for exceeded requests count against the retries with which the Job was rendered.
    """
    by_job = {run.job: run for run in runs if not is_finished(run)}
    found = []
    for job in jobs:
        if (run := by_job.get(job.name)) is None or job.is_suspended or is_ending(job):
            continue
        attempts = attempts_of(job, own_pods(pods, job))
        if is_used_up(job, attempts):
            found.append(fail(job, EVICTED, _exceeded_requests(attempts)))
        elif (run.disruptions or 0) > limit:
            found.append(fail(job, TOO_OFTEN, _too_often(run, limit)))
    return found


def _exceeded_requests(attempts: Sequence[Pod]) -> str:
    evicted = [pod for pod in attempts if pod.is_over_request]
    last = evicted[-1]
    return (
        f"Evicted {_times(len(evicted))} under node pressure, for using more than requested, and no retry is "
        f"left: raise the requests in spec.podTemplate.container.resources, or spec.retry.limit. "
        f"{_NEW_POD_TERMINATED}. Pod {last.name}: {last.status_message}"
    )


def _too_often(run: Run, limit: int) -> str:
    last = next((attempt for attempt in reversed(run.attempts) if attempt.reason is not None), None)
    cause = f"; the last time: {last.reason} of pod {last.pod} on node {last.node}" if last is not None else ""
    return (
        f"Its pods were evicted, drained, preempted or lost with their node {_times(run.disruptions or 0)}{cause}. "
        f"retry.disruptions allows {limit}: find out why its nodes are disrupted, or raise spec.retry.disruptions. "
        f"{_NEW_POD_TERMINATED}"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
