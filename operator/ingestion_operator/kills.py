"""Ending the runs that the annotation `kill` of a pipeline names.

Nothing is noted and nothing is taken away from the pipeline: what the annotation names is over or ends, whenever and
however often it is read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ingestion_operator import constants
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.ports import JOBS, ClusterApi
from ingestion_operator.runs.stopping import Job, stop_patch, to_kill

_CALLER: Final = f"the annotation {constants.ANNOTATION_KILL}"


class Kills:
    """Marks Jobs."""

    def __init__(self, cluster: ClusterApi) -> None:
        self._cluster = cluster

    def carry_out(self, pipeline: Pipeline, jobs: Sequence[Job], now: datetime) -> bool:
        """Make the Jobs end that the annotation names; tell whether any was written.

        Raises Conflict when a Job has changed meanwhile: look again.
        """
        patches = [(job, stop_patch(job, _CALLER, now)) for job in to_kill(pipeline.kill, jobs, now)]
        written = [(job, patch) for job, patch in patches if patch is not None]
        for job, patch in written:
            self._cluster.merge_patch(JOBS, pipeline.namespace, job["metadata"]["name"], patch)
        return bool(written)
