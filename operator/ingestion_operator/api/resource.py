"""An IngestionPipeline as the API server returned it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from pydantic import ValidationError

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.api.validation import describe_error
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.naming import cronjob_name, quoted_part

_UNREADABLE: Final[dict[str, Any]] = {
    "pipelineType": "metadata",
    "service": {"type": "databaseService", "name": "unknown"},
    "server": {"hostPort": "http://unknown"},
}
"""What stands for required fields that cannot be read; nothing is rendered from it."""


@dataclass(frozen=True)
class Pipeline:
    """Identity, spec and last written status of one pipeline."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: PipelineSpec
    status: PipelineStatus
    ignored_fields: str = ""
    """Settings of OpenMetadata's entity that a deploy brought and that change nothing here, for people."""

    kill: str = ""
    """Which runs are asked to end, as `runs.stopping` reads it."""
    is_deleting: bool = False
    changed_at: datetime | None = None
    """When the spec was changed last; None where that is not known."""
    status_written_at: datetime | None = None
    """When the status was written last; None where that is not known."""
    invalid: Rejected | None = None
    """Why the stored spec does not fit the model; then `spec` has what of it can be read, and defaults."""

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read the object. Raises Rejected (InvalidSpec) naming each wrong field.

        The API server has validated it already; a spec stored under an older CRD may still be refused here. A
        status that does not fit is dropped, since the operator computes it again.
        """
        pipeline = cls.parse_leniently(body)
        if pipeline.invalid is not None:
            raise pipeline.invalid
        return pipeline

    @classmethod
    def parse_leniently(
        cls, body: dict[str, Any], changed_at: datetime | None = None, status_written_at: datetime | None = None
    ) -> Self:
        """Read the object as far as it can be read: runs of a pipeline with a wrong spec are recorded all the same."""
        metadata = body["metadata"]
        spec, invalid = _read_spec(body.get("spec") or {})
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata["generation"],
            resource_version=metadata["resourceVersion"],
            spec=spec,
            status=parse_status(body),
            ignored_fields=metadata.get("annotations", {}).get(constants.ANNOTATION_IGNORED_FIELDS, ""),
            kill=metadata.get("annotations", {}).get(constants.ANNOTATION_KILL, ""),
            is_deleting=bool(metadata.get("deletionTimestamp")),
            changed_at=changed_at,
            status_written_at=status_written_at,
            invalid=invalid,
        )

    @property
    def fully_qualified_name(self) -> str:
        """The pipeline's name in OpenMetadata."""
        return self.spec.fully_qualified_name or f"{quoted_part(self.spec.service.name)}.{quoted_part(self.name)}"

    @property
    def cronjob_name(self) -> str:
        """The name of the CronJob, which is the value of the pipeline label too."""
        return cronjob_name(self.name)


def _read_spec(raw: dict[str, Any]) -> tuple[PipelineSpec, Rejected | None]:
    """Return the spec; where it does not fit, without the fields that are wrong, and why."""
    try:
        return PipelineSpec.model_validate(raw), None
    except ValidationError as error:
        invalid = Rejected("InvalidSpec", f"spec: {describe_error(error)}")
        wrong = {str(one["loc"][0]) for one in error.errors() if one["loc"]}
    kept = {key: value for key, value in raw.items() if key not in wrong}
    if not kept.keys() & {"sourceConfig", "sourceConfigSecretRef"}:
        kept["sourceConfig"] = {"config": {}}
    for candidate in (_UNREADABLE | kept, _UNREADABLE | {"sourceConfig": {"config": {}}}):
        try:
            return PipelineSpec.model_validate(candidate), invalid
        except ValidationError:
            continue  # fields that are wrong together
    raise invalid


def parse_status(body: dict[str, Any]) -> PipelineStatus:
    """Return the status of an object, or an empty one where there is none that fits."""
    try:
        return PipelineStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return PipelineStatus()
