"""OpenMetadata's pipeline service client for Kubernetes. Pipelines become custom resources, and runs become Jobs."""

from ingestion_operator.pipeline_service.client import K8sPipelineServiceClient

__all__ = ["K8sPipelineServiceClient"]
