"""An IngestionPipeline as the API server returned it."""

from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.models.pipeline import PipelineSpec
from ingestion_operator.models.status import PipelineStatus
from ingestion_operator.models.validation import describe_error
from ingestion_operator.naming import cronjob_name


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
    ineffective: str = ""
    """Settings of OpenMetadata's entity that a deploy brought and that change nothing here, for people."""

    kill: str = ""
    """Which runs are asked to end, as `runs.stopping` reads it."""

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read the object. Raises Rejected (InvalidSpec) naming each wrong field.

        The API server has validated it already; a spec stored under an older CRD may still be refused here. A
        status that does not fit is dropped, since the operator computes it again.
        """
        metadata = body["metadata"]
        try:
            spec = PipelineSpec.model_validate(body["spec"])
        except ValidationError as error:
            raise Rejected("InvalidSpec", f"spec: {describe_error(error)}") from error
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata["generation"],
            resource_version=metadata["resourceVersion"],
            spec=spec,
            status=parse_status(body),
            ineffective=metadata.get("annotations", {}).get(constants.ANNOTATION_INEFFECTIVE, ""),
            kill=metadata.get("annotations", {}).get(constants.ANNOTATION_KILL, ""),
        )

    @property
    def fully_qualified_name(self) -> str:
        """The pipeline's name in OpenMetadata."""
        return self.spec.fully_qualified_name or f"{_quoted(self.spec.service.name)}.{_quoted(self.name)}"

    @property
    def cronjob_name(self) -> str:
        """The name of the CronJob, which is the value of the pipeline label too."""
        return cronjob_name(self.name)


def _quoted(name: str) -> str:
    """Write one part of a fully qualified name as OpenMetadata does: in quotes when it holds a dot."""
    return f'"{name}"' if "." in name and not name.startswith('"') else name


def parse_status(body: dict[str, Any]) -> PipelineStatus:
    """Return the status of an object, or an empty one where there is none that fits."""
    try:
        return PipelineStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return PipelineStatus()
