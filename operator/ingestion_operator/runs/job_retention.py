"""Which Jobs of finished runs to delete; pure functions.

The history limits of a CronJob apply only to its own Jobs, and are never 0: its controller would delete a Job before
its end is recorded. The pipeline itself owns the Jobs that the pipeline service created. This module counts them among
all runs of the pipeline; with a limit of 0 it deletes the CronJob's Jobs too. A Job that was stopped in the queue never
finishes, so that no limit and no TTL applies: it is deleted immediately.
"""

from collections.abc import Sequence

from ingestion_operator import constants
from ingestion_operator.api.pipeline import History
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.runs.actions import DeleteJob
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import is_between_memory_limits


def expired_jobs(jobs: Sequence[Job], runs: Sequence[Run], history: History) -> list[DeleteJob]:
    """Return the deletions of Jobs that were stopped in the queue, and of those beyond the limits of `history`.

    `runs` are those of the status after this reconciliation's reports: a Job is deleted only if the end of its run is
    recorded and reported to OpenMetadata. A limit of 0 keeps none.
    """
    finished = {run.job: run for run in runs if run.state in FINISHED_STATES}
    ended = sorted((job for job in jobs if job.name in finished), key=lambda job: job.age, reverse=True)
    stopped = [job for job in ended if _was_stopped_in_the_queue(job)]
    newest = [job for job in ended if job not in stopped]
    succeeded = [job for job in newest if finished[job.name].state in ("success", "partialSuccess")]
    failed = [job for job in newest if job not in succeeded]
    surplus = [*_beyond(succeeded, history.successful), *_beyond(failed, history.failed)]
    found = [
        *(DeleteJob(job, "delete (stopped in the queue)") for job in stopped),
        *(DeleteJob(job, "delete (history limit)") for job in surplus),
    ]
    return [each for each in found if not each.job.is_deleting and finished[each.job.name].report != "Pending"]


def _beyond(newest_first: Sequence[Job], limit: int) -> list[Job]:
    return [job for job in newest_first[limit:] if limit == 0 or _is_owned_by_pipeline(job)]


def _was_stopped_in_the_queue(job: Job) -> bool:
    return job.is_suspended and constants.ANNOTATION_STOP in job.annotations and not is_between_memory_limits(job)


def _is_owned_by_pipeline(job: Job) -> bool:
    return job.owner is not None and job.owner.kind == constants.KIND
