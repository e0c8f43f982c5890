"""The run input: the non-secret part of a run's configuration, as a JSON document for the runner."""

import json
from typing import Any, Final

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.constants import RUN_INPUT_LIMIT_BYTES
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.timestamps import format_timestamp

RUN_INPUT_VERSION: Final = 1
"""Version of the format of the document."""


def run_input(pipeline: Pipeline) -> str:
    """Return the document. Raises Rejected (SourceConfigTooLarge) if it does not fit into an annotation."""
    spec = pipeline.spec
    schedule = spec.schedule
    document: dict[str, Any] = {
        "version": RUN_INPUT_VERSION,
        "pipelineType": spec.pipeline_type,
        "fullyQualifiedName": pipeline.fully_qualified_name,
        "displayName": spec.display_name,
        "service": {"type": spec.service.type, "name": spec.service.name},
        "sourceConfig": {"config": spec.source_config.config} if spec.source_config else None,
        "server": {
            "hostPort": spec.server.host_port,
            "version": spec.server.version,
            "verifySSL": spec.server.verification,
            "secretsManagerProvider": spec.server.secrets_manager_provider,
            "secretsManagerLoader": spec.server.secrets_manager_loader,
        },
        "loggerLevel": spec.logger_level,
        "startDate": format_timestamp(schedule.start_date) if schedule and schedule.start_date else None,
        "endDate": format_timestamp(schedule.end_date) if schedule and schedule.end_date else None,
    }
    text = json.dumps(_without_none(document), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if (size := len(text.encode())) > RUN_INPUT_LIMIT_BYTES:
        raise Rejected(
            "SourceConfigTooLarge",
            f"spec.sourceConfig makes a run input of {size} bytes, more than {RUN_INPUT_LIMIT_BYTES}: "
            "move it into a Secret and name that in spec.sourceConfigSecretRef",
        )
    return text


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    """Remove nulls from the document and its server. In sourceConfig nulls may have a meaning."""
    return {
        key: {k: v for k, v in value.items() if v is not None} if key == "server" else value
        for key, value in document.items()
        if value is not None
    }
