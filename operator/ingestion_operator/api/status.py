"""The status of an IngestionPipeline, which only the operator writes."""

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
    """One condition of the pipeline, as in other Kubernetes objects."""

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
    """The memory limit of the runner's container."""


class RunSummary(KubernetesModel):
    """The counts of the workflow."""

    records: int = 0
    warnings: int = 0
    errors: int = 0


class RunTarget(KubernetesModel):
    """Where a run reports, as its Job was rendered; later changes of the pipeline's spec have no effect."""

    host_port: Annotated[str, Field(max_length=2048)]
    """Base URL of the OpenMetadata API."""
    version: Annotated[str, Field(max_length=7)] | None = None
    """Version of the server as major.minor; default: from the settings."""
    verify_ssl: SslVerification = Field(alias="verifySSL")
    """How the certificate of the server is checked."""
    token_secret_ref: KeyReference | None = None
    """The key of a Secret with the bot's token."""
    service: Service
    """The OpenMetadata service whose metadata the run ingests."""
    fully_qualified_name: Annotated[str, Field(max_length=3072)]
    """The pipeline's name in OpenMetadata."""


class Run(KubernetesModel):
    """One run with all its attempts. The record outlives the Job."""

    id: Annotated[str, Field(max_length=RUN_ID_LIMIT)]
    job: Annotated[str, Field(max_length=63)]
    trigger: Trigger
    state: RunState
    reason: _Reason
    message: _Message
    start_time: Timestamp
    end_time: Timestamp | None = None
    waiting_since: Timestamp | None = None
    """Since when the run waits only for the start of a pod."""
    attempts: Annotated[list[Attempt], Field(max_length=ATTEMPTS_LIMIT)] = []
    summary: RunSummary | None = None
    target: RunTarget | None = None
    """Where the run reports, as its Job was rendered."""
    disruptions: Annotated[int, Field(ge=0)] | None = None
    """How many pods of the run were evicted, drained, preempted or lost with their node; absent for none."""
    report: Report | None = None
    """Whether OpenMetadata has the run's end: Pending, Done, or Refused by OpenMetadata; absent before the end."""

    @property
    def is_unreported(self) -> bool:
        """Return whether the run has ended and no completed report is recorded."""
        return self.state in FINISHED_STATES and self.report in (None, "Pending")


class PipelineStatus(KubernetesModel):
    """The state that the operator observed."""

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
    """Number of all active runs."""
    queued: Annotated[int, Field(ge=0)] | None = None
    """Number of all runs that wait for a free slot."""
    active_runs: Annotated[list[str], Field(max_length=100)] = []
    """Ids of active runs, at most 100."""
    queued_runs: Annotated[list[str], Field(max_length=100)] = []
    """Ids of runs that wait for a free slot, at most 100."""
    runs: Annotated[list[Run], Field(max_length=STATUS_RUNS_LIMIT)] = []
    """The last runs, newest first."""
    last_successful_time: Timestamp | None = None
