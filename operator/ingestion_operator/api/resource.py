"""An IngestionPipeline as the API server returns it."""

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
"""Placeholders for required fields that cannot be read; nothing is rendered from them."""


@dataclass(frozen=True)
class Pipeline:
    """Metadata, spec and status of one pipeline."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: PipelineSpec
    status: PipelineStatus
    ignored_fields: str = ""
    """Fields of OpenMetadata's entity that have no effect, comma-separated."""

    kill: str = ""
    """The runs to stop, in the format of `runs.stopping`."""
    is_deleting: bool = False
    changed_at: datetime | None = None
    """When the spec was last changed; None if unknown."""
    status_written_at: datetime | None = None
    """When the status was last written; None if unknown."""
    invalid: Rejected | None = None
    """Why the stored spec is invalid. `spec` then has its readable fields, and defaults for the others."""

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read the object. An invalid status is ignored, since the operator computes it again.

        Raises:
            Rejected: InvalidSpec, with each invalid field. The API server validates specs, but a spec that was stored
                with an older CRD may be invalid now.
        """
        pipeline = cls.parse_leniently(body)
        if pipeline.invalid is not None:
            raise pipeline.invalid
        return pipeline

    @classmethod
    def parse_leniently(
        cls, body: dict[str, Any], changed_at: datetime | None = None, status_written_at: datetime | None = None
    ) -> Self:
        """Read the object as far as possible: runs of a pipeline with an invalid spec are still recorded."""
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
        """The name of the CronJob, which is also the value of the pipeline label."""
        return cronjob_name(self.name)


def _read_spec(raw: dict[str, Any]) -> tuple[PipelineSpec, Rejected | None]:
    """Return the spec, without its invalid fields, and the error if there are any."""
    try:
        return PipelineSpec.model_validate(raw), None
    except ValidationError as error:
        invalid = Rejected("InvalidSpec", f"spec: {describe_error(error)}")
        invalid_fields = {str(one["loc"][0]) for one in error.errors() if one["loc"]}
    kept = {key: value for key, value in raw.items() if key not in invalid_fields}
    if not kept.keys() & {"sourceConfig", "sourceConfigSecretRef"}:
        kept["sourceConfig"] = {"config": {}}
    for candidate in (_UNREADABLE | kept, _UNREADABLE | {"sourceConfig": {"config": {}}}):
        try:
            return PipelineSpec.model_validate(candidate), invalid
        except ValidationError:
            continue  # the combination of fields is invalid
    raise invalid


def parse_status(body: dict[str, Any]) -> PipelineStatus:
    """Return the status of an object; an invalid or missing one becomes an empty status."""
    try:
        return PipelineStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return PipelineStatus()
