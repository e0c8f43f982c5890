"""Runs OpenMetadata's ingestion pipelines on Kubernetes itself."""

from typing import Final

__version__: Final = "0.1.0"
