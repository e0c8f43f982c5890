"""Which Jobs of finished runs have been kept long enough; pure functions.

A CronJob's own history limits apply only to the Jobs of the CronJob, and are never 0: its controller would delete a
Job before its end is recorded. Runs that the pipeline service started belong to the pipeline itself: they are counted
here, among all the pipeline's runs, and so are the CronJob's where no Job is to be kept. A Job that was stopped while
it waited never ends by itself, so that no limit and no TTL applies to it: it goes at once.
"""

from collections.abc import Sequence

from ingestion_operator import constants
from ingestion_operator.api.pipeline import History
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.runs.actions import DeleteJob
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import is_between_sizes


def expired(jobs: Sequence[Job], runs: Sequence[Run], history: History) -> list[DeleteJob]:
    """Return what to delete: stopped Jobs that never ran, and those beyond the newest finished runs.

    `runs` are as the status has them after this reconciliation's reports: only a run whose end is recorded and
    reported to OpenMetadata may lose its Job. A limit of 0 keeps none.
    """
    finished = {run.job: run for run in runs if run.state in FINISHED_STATES}
    ended = sorted((job for job in jobs if job.name in finished), key=lambda job: job.age, reverse=True)
    stopped = [job for job in ended if _was_stopped_in_the_queue(job)]
    newest = [job for job in ended if job not in stopped]
    succeeded = [job for job in newest if finished[job.name].state in ("success", "partialSuccess")]
    failed = [job for job in newest if job not in succeeded]
    surplus = [*_beyond(succeeded, history.successful), *_beyond(failed, history.failed)]
    found = [
        *(DeleteJob(job, "delete it, since it was stopped while it waited") for job in stopped),
        *(DeleteJob(job, "delete it, since history keeps no more") for job in surplus),
    ]
    return [each for each in found if not each.job.is_deleting and finished[each.job.name].report != "Pending"]


def _beyond(newest_first: Sequence[Job], limit: int) -> list[Job]:
    return [job for job in newest_first[limit:] if limit == 0 or _is_the_pipelines(job)]


def _was_stopped_in_the_queue(job: Job) -> bool:
    return job.is_suspended and constants.ANNOTATION_STOP in job.annotations and not is_between_sizes(job)


def _is_the_pipelines(job: Job) -> bool:
    return job.owner is not None and job.owner.kind == constants.KIND
