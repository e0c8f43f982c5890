"""Implementation of LogFollower with aiohttp."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.errors import LOG_CODES
from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.k8s.timestamps import format_timestamp

_SILENCE_SECONDS: Final = 300.0
"""A connection that follows a log and has no data for this long may be dead."""

_READ_SILENCE_SECONDS: Final = 30.0
"""The same for a connection that does not follow the log."""


class KubernetesLogFollower:
    """Streams logs through the API server. Belongs to the event loop of its first use."""

    def __init__(self, kubeconfig: str | None = None) -> None:
        """Use the credentials of a kubeconfig, otherwise of the pod's service account."""
        self._session = ApiSession(kubeconfig, keep_alive=False)

    async def stream(
        self, namespace: str, pod: str, *, since: datetime | None, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield the log of the runner's container, each line with its timestamp."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": RUNNER_CONTAINER, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since is not None:
            query["sinceTime"] = format_timestamp(since)
        silence = _SILENCE_SECONDS if follow else _READ_SILENCE_SECONDS
        pieces = self._session.stream(path, query, silence_seconds=silence, codes=LOG_CODES)
        try:
            async for piece in pieces:
                if piece:
                    yield piece
        finally:
            await pieces.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
