"""Checks whether a deploy may change the existing resource with its pipeline's name; pure functions.

Requests have only the bare name, so a namespace can have one pipeline with a name. A deployed resource belongs to the
same pipeline if the entity's id or the fully qualified name is the same: the id stays when a service is renamed, the
name stays when an entity is deleted and created again.
"""

from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.cache.projections import PipelineRecord
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.objects import annotations_of
from ingestion_operator.pipeline_service.desired import Desired, without_none


def check_same_pipeline(live: PipelineRecord, wanted: Desired) -> None:
    """Raise Rejected (NameConflict) if a deployed resource belongs to another pipeline, with the name of that one."""
    annotations = annotations_of(live.body())
    other_id = annotations.get(constants.ANNOTATION_ENTITY_ID, "")
    other_name = annotations.get(constants.ANNOTATION_ENTITY_FQN, "")
    if other_name == wanted.fully_qualified_name or (other_id and other_id == wanted.entity.id):
        return
    raise _name_conflict(live, wanted, f"{other_name} (id {other_id or 'unknown'})")


def check_unchanged(live: PipelineRecord, live_source_config: dict[str, Any] | None, wanted: Desired) -> None:
    """Check that a deploy would not change a resource that a user applied.

    Only fields that an entity has are compared, without display name and suspend. It makes no difference whether the
    source configuration is inline or in a Secret.

    Raises:
        Rejected: NameConflict: it is another pipeline. ManagedElsewhere: its spec would change.
    """
    pipeline = Pipeline.parse(live.body())
    if pipeline.fully_qualified_name != wanted.fully_qualified_name:
        raise _name_conflict(live, wanted, pipeline.fully_qualified_name)
    asked = PipelineSpec.model_validate(without_none(wanted.spec))
    different = [
        field
        for field, (current, wanted_value) in {
            "pipelineType": (pipeline.spec.pipeline_type, asked.pipeline_type),
            "service": (pipeline.spec.service, asked.service),
            "sourceConfig": (live_source_config, wanted.entity.source_config.config),
            "server.hostPort": (pipeline.spec.server.host_port, asked.server.host_port),
            "schedule": (_timing(pipeline.spec), _timing(asked)),
            # The rest of concurrency is not part of an entity: policy Replace, and maxQueuedRuns.
            "concurrency.maxActiveRuns": (
                pipeline.spec.concurrency.max_active_runs,
                asked.concurrency.max_active_runs,
            ),
            "retry.limit": (pipeline.spec.retry.limit, asked.retry.limit),
            "timeout": (pipeline.spec.timeout, asked.timeout),
            "loggerLevel": (pipeline.spec.logger_level, asked.logger_level),
        }.items()
        if current != wanted_value
    ]
    if different:
        name = f"{pipeline.namespace}/{pipeline.name}"
        raise Rejected(
            "ManagedElsewhere",
            f"IngestionPipeline {name} is managed by {manager_of(live)}, and this deploy would change "
            f"{', '.join(different)}: change it there, or delete it to let OpenMetadata manage the pipeline",
        )


def manager_of(record: PipelineRecord) -> str:
    """Return the field manager that last wrote the spec of a pipeline, for messages."""
    return record.spec_manager or "another client"


def _timing(spec: PipelineSpec) -> object:
    schedule = spec.schedule
    return schedule and (schedule.cron, schedule.time_zone, schedule.start_date, schedule.end_date)


def _name_conflict(live: PipelineRecord, wanted: Desired, holder: str) -> Rejected:
    return Rejected(
        "NameConflict",
        f"The pipeline name {wanted.entity.name!r} is held by {holder}, as IngestionPipeline "
        f"{live.namespace}/{live.name}. Nothing was changed: give {wanted.fully_qualified_name} another "
        "name, or delete the other pipeline",
    )
