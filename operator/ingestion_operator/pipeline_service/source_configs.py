"""A pipeline's source configuration, inline or in a Secret, and the overrides of a run."""

from collections.abc import Mapping
from typing import Any

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.yaml_documents import parse_document
from ingestion_operator.pipeline_service.secret_store import SecretStore


def effective_source_config(pipeline: Pipeline, secrets: SecretStore) -> dict[str, Any] | None:
    """Return the current source configuration, or None if its Secret is missing or has none."""
    if pipeline.spec.source_config is not None:
        return pipeline.spec.source_config.config
    reference = pipeline.spec.source_config_secret_ref
    text = secrets.read(reference.name, reference.key) if reference else None
    try:
        document = parse_document(text) if text is not None else None
    except ValueError:
        return None
    config = document.get("config") if isinstance(document, dict) else None
    return config if isinstance(config, dict) else None


def overridden(
    pipeline: Pipeline,
    secrets: SecretStore,
    *,
    config_override: Mapping[str, Any] | None,
    source_config_override: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the source configuration of one run; overrides replace whole keys, as in OpenMetadata.

    `source_config_override` applies to sourceConfig.config, `config_override` to its appConfig.

    Raises:
        Rejected: SourceConfigMissing: the source configuration cannot be read.
    """
    base = effective_source_config(pipeline, secrets)
    if base is None:
        raise Rejected(
            "SourceConfigMissing",
            f"The source configuration of IngestionPipeline {pipeline.namespace}/{pipeline.name} cannot be read: "
            "deploy the pipeline again, or correct the Secret that spec.sourceConfigSecretRef names",
        )
    config = {**base, **(source_config_override or {})}
    if config_override:
        application = config.get("appConfig")
        config["appConfig"] = {**(application if isinstance(application, dict) else {}), **config_override}
    return config
