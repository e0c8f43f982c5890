"""Which Jobs of finished runs have been kept long enough; pure functions.

A CronJob's own history limits apply only to the Jobs of the CronJob. Runs that the pipeline service started belong
to the pipeline itself: they are counted here, among all the pipeline's runs.
"""

from collections.abc import Sequence

from ingestion_operator import constants
from ingestion_operator.k8s.objects import Job
from ingestion_operator.models.pipeline import History
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.runs.actions import DeleteJob


def expired(jobs: Sequence[Job], runs: Sequence[Run], history: History) -> list[DeleteJob]:
    """Return what to delete: those of the pipeline's own Jobs that are not among its newest finished runs.

    `runs` are as the status has them after this reconciliation's reports: only a run whose end is recorded and
    reported to OpenMetadata may lose its Job. A limit of 0 keeps none.
    """
    finished = {run.job: run for run in runs if run.state in FINISHED_STATES}
    newest = sorted((job for job in jobs if job.name in finished), key=lambda job: job.age, reverse=True)
    succeeded = [job for job in newest if finished[job.name].state in ("success", "partialSuccess")]
    failed = [job for job in newest if job not in succeeded]
    return [
        DeleteJob(job, "delete it, since history keeps no more")
        for job in succeeded[history.successful :] + failed[history.failed :]
        if _belongs_to_the_pipeline(job) and finished[job.name].report != "Pending"
    ]


def _belongs_to_the_pipeline(job: Job) -> bool:
    return not job.is_deleting and job.owner is not None and job.owner.kind == constants.KIND
