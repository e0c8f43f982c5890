"""The status of an IngestionPipeline, written by the operator alone."""

from typing import Annotated, Literal

from pydantic import Field

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.pipeline import Service, SslVerification
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.types import Timestamp
from ingestion_operator.constants import ATTEMPTS_LIMIT, MESSAGE_LIMIT_BYTES, RUN_ID_LIMIT, STATUS_RUNS_LIMIT

RunState = Literal["queued", "running", "success", "partialSuccess", "failed", "stopped"]
Trigger = Literal["scheduled", "manual", "automation", "application"]
Report = Literal["Pending", "Done", "Refused"]
FINISHED_STATES = frozenset({"success", "partialSuccess", "failed", "stopped"})

_Message = Annotated[str, Field(max_length=MESSAGE_LIMIT_BYTES)]
_Reason = Annotated[str, Field(max_length=64)]


class Condition(KubernetesModel):
    """One statement about the pipeline, in Kubernetes' usual shape."""

    type: Annotated[str, Field(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: int
    last_transition_time: Timestamp
    reason: _Reason
    message: _Message


class Attempt(KubernetesModel):
    """One pod of a run."""

    pod: Annotated[str, Field(max_length=253)]
    node: Annotated[str, Field(max_length=253)] | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    exit_code: int | None = None
    reason: _Reason | None = None
    memory: Annotated[str, Field(max_length=32)] | None = None
    """The memory limit of its container."""


class RunSummary(KubernetesModel):
    """What the workflow counted."""

    records: int = 0
    warnings: int = 0
    errors: int = 0


class RunTarget(KubernetesModel):
    """Where a run reports: what its Job was rendered with, whatever the pipeline's spec says now."""

    host_port: Annotated[str, Field(max_length=2048)]
    """Base URL of the OpenMetadata API."""
    version: Annotated[str, Field(max_length=7)] | None = None
    """Version of the server as major.minor; default: from the settings."""
    verify_ssl: SslVerification = Field(alias="verifySSL")
    """How the certificate of the server is checked."""
    token_secret_ref: KeyReference | None = None
    """Where the bot's token is."""
    service: Service
    """The OpenMetadata service whose metadata the run ingests."""
    fully_qualified_name: Annotated[str, Field(max_length=3072)]
    """The pipeline's name in OpenMetadata."""


class Run(KubernetesModel):
    """One run, over all its attempts; outlives its Job."""

    id: Annotated[str, Field(max_length=RUN_ID_LIMIT)]
    job: Annotated[str, Field(max_length=63)]
    trigger: Trigger
    state: RunState
    reason: _Reason
    message: _Message
    start_time: Timestamp
    end_time: Timestamp | None = None
    waiting_since: Timestamp | None = None
    """Since when nothing but the start of a pod is missing."""
    attempts: Annotated[list[Attempt], Field(max_length=ATTEMPTS_LIMIT)] = []
    summary: RunSummary | None = None
    target: RunTarget | None = None
    """Where the run reports, as its Job was rendered."""
    disruptions: Annotated[int, Field(ge=0)] | None = None
    """How many pods of the run were evicted, drained, preempted or lost with their node; absent for none."""
    report: Report | None = None
    """Whether OpenMetadata has the run's end: Pending, Done, or Refused (not accepted there); absent before the end."""

    @property
    def is_unreported(self) -> bool:
        """Return whether the run has ended and its report is still to be made, or is not recorded as made."""
        return self.state in FINISHED_STATES and self.report in (None, "Pending")


class PipelineStatus(KubernetesModel):
    """What the operator has seen and done."""

    observed_generation: int | None = None
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    cron_job_name: Annotated[str, Field(max_length=52)] | None = None
    next_schedule_time: Timestamp | None = None
    active: Annotated[int, Field(ge=0)] | None = None
    """Number of runs under way, all of them; named as in the status of a Job."""
    queued: Annotated[int, Field(ge=0)] | None = None
    """Number of runs that wait for a free slot, all of them."""
    active_runs: Annotated[list[str], Field(max_length=100)] = []
    """Ids of the runs under way, at most 100."""
    queued_runs: Annotated[list[str], Field(max_length=100)] = []
    """Ids of the runs that wait for a free slot, at most 100."""
    runs: Annotated[list[Run], Field(max_length=STATUS_RUNS_LIMIT)] = []
    """The last runs, newest first."""
    last_successful_time: Timestamp | None = None
