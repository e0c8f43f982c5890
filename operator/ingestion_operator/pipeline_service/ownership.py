"""Whether a deploy may touch the resource that holds its pipeline's name; pure functions.

Calls carry the bare name alone, so one namespace can hold one pipeline of a name. A resource that was deployed
is the same pipeline if its entity's id or its fully qualified name is the same: a renamed service keeps the id,
an entity that was deleted and created again keeps the name.
"""

from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.cache.projections import PipelineRecord
from ingestion_operator.errors import Rejected
from ingestion_operator.pipeline_service.desired import Desired, without_none


def check_same_pipeline(live: PipelineRecord, wanted: Desired) -> None:
    """Raise Rejected (NameConflict) when a deployed resource stands for another pipeline, naming that one."""
    annotations = live.body()["metadata"].get("annotations", {})
    held_id = annotations.get(constants.ANNOTATION_ENTITY_ID, "")
    held_name = annotations.get(constants.ANNOTATION_ENTITY_FQN, "")
    if held_name == wanted.fully_qualified_name or (held_id and held_id == wanted.entity.id):
        return
    raise _held(live, wanted, f"{held_name} (id {held_id or 'unknown'})")


def check_unchanged(live: PipelineRecord, live_source_config: dict[str, Any] | None, wanted: Desired) -> None:
    """Raise Rejected when a deploy would change a resource that a user applied.

    NameConflict: it is another pipeline. ManagedElsewhere: it is this one, and its spec would change. What only says
    how a value is stored (inline or in a Secret), the display name, the pause and what an entity cannot say are no
    difference.
    """
    pipeline = Pipeline.parse(live.body())
    if pipeline.fully_qualified_name != wanted.fully_qualified_name:
        raise _held(live, wanted, pipeline.fully_qualified_name)
    asked = PipelineSpec.model_validate(without_none(wanted.spec))
    different = [
        field
        for field, (mine, theirs) in {
            "pipelineType": (pipeline.spec.pipeline_type, asked.pipeline_type),
            "service": (pipeline.spec.service, asked.service),
            "sourceConfig": (live_source_config, wanted.entity.source_config.config),
            "server.hostPort": (pipeline.spec.server.host_port, asked.server.host_port),
            "schedule": (_timing(pipeline.spec), _timing(asked)),
            # An entity cannot say more of it: neither Replace nor how many runs may wait.
            "concurrency.maxActiveRuns": (
                pipeline.spec.concurrency.max_active_runs,
                asked.concurrency.max_active_runs,
            ),
            "retry.limit": (pipeline.spec.retry.limit, asked.retry.limit),
            "timeout": (pipeline.spec.timeout, asked.timeout),
            "loggerLevel": (pipeline.spec.logger_level, asked.logger_level),
        }.items()
        if mine != theirs
    ]
    if different:
        name = f"{pipeline.namespace}/{pipeline.name}"
        raise Rejected(
            "ManagedElsewhere",
            f"IngestionPipeline {name} is managed by {manager_of(live)}, and this deploy would change "
            f"{', '.join(different)}: change it there, or delete it to let OpenMetadata manage the pipeline",
        )


def manager_of(record: PipelineRecord) -> str:
    """Return who wrote a pipeline's spec last, for people."""
    return record.spec_manager or "another client"


def _timing(spec: PipelineSpec) -> object:
    schedule = spec.schedule
    return schedule and (schedule.cron, schedule.time_zone, schedule.start_date, schedule.end_date)


def _held(live: PipelineRecord, wanted: Desired, holder: str) -> Rejected:
    return Rejected(
        "NameConflict",
        f"The pipeline name {wanted.entity.name!r} is held by {holder}, as IngestionPipeline "
        f"{live.namespace}/{live.name}. Nothing was changed: give {wanted.fully_qualified_name} another "
        "name, or delete the other pipeline",
    )
