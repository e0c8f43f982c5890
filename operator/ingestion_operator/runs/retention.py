"""Which Jobs of finished runs have been kept long enough; pure functions.

A CronJob's own history limits see only the Jobs that belong to the CronJob. Runs that the pipeline service started
belong to the pipeline itself: they are counted here, among all the pipeline's runs.
"""

from collections.abc import Sequence
from typing import Any

from ingestion_operator import constants
from ingestion_operator.models.pipeline import History
from ingestion_operator.models.status import FINISHED_STATES, Run

Job = dict[str, Any]


def outlived(jobs: Sequence[Job], recorded: Sequence[Run], history: History) -> list[Job]:
    """Return the Jobs to delete: those of the pipeline's own that are not among its newest finished runs.

    `recorded` are the runs as they stand in the pipeline's written status: only a run whose end is recorded there,
    and told to OpenMetadata, may lose its Job.
    """
    finished = {run.job: run for run in recorded if run.state in FINISHED_STATES}
    newest = sorted((job for job in jobs if _name(job) in finished), key=_age, reverse=True)
    succeeded = [job for job in newest if finished[_name(job)].state in ("success", "partialSuccess")]
    failed = [job for job in newest if job not in succeeded]
    return [
        job
        for job in succeeded[history.successful :] + failed[history.failed :]
        if _belongs_to_the_pipeline(job) and finished[_name(job)].report != "Pending"
    ]


def _belongs_to_the_pipeline(job: Job) -> bool:
    owners = job["metadata"].get("ownerReferences", [])
    is_going = bool(job["metadata"].get("deletionTimestamp"))
    return not is_going and any(owner.get("controller") and owner["kind"] == constants.KIND for owner in owners)


def _age(job: Job) -> tuple[str, str]:
    return str(job["metadata"]["creationTimestamp"]), _name(job)


def _name(job: Job) -> str:
    return str(job["metadata"]["name"])
