"""Implementation of PodLogs with the official Kubernetes client."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ingestion_operator.adapters.kube.errors import LOG_CODES, error_of
from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.errors import Unavailable
from ingestion_operator.k8s.timestamps import format_timestamp

_TIMEOUT_SECONDS: Final = (2.0, 10.0)
"""Time limits to connect, and for each piece."""

_TAIL_TIMEOUT_SECONDS: Final = (2.0, 3.0)
"""A report waits for the tail, and the node may not respond."""

_PIECE_BYTES: Final = 64 * 1024


class KubernetesPodLogs:
    """Reads logs through the API server, piece by piece."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._api = api_client

    def read(
        self, namespace: str, pod: str, *, since: datetime | None = None, timestamps: bool = False
    ) -> Iterator[bytes]:
        """Yield the log of the runner's container; nothing for a pod without a node."""
        query = [("timestamps", "true")] if timestamps else []
        if since is not None:
            query.append(("sinceTime", format_timestamp(since)))
        return self._stream(namespace, pod, query, _TIMEOUT_SECONDS)

    def tail(self, namespace: str, pod: str, lines: int) -> Iterator[bytes]:
        """Yield the last lines. The API server's limitBytes is not used: it would cut off the last lines."""
        return self._stream(namespace, pod, [("tailLines", str(lines))], _TAIL_TIMEOUT_SECONDS)

    def _stream(
        self, namespace: str, pod: str, query: list[tuple[str, str]], timeout_seconds: tuple[float, float]
    ) -> Iterator[bytes]:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        serialized = self._api.param_serialize(
            "GET",
            path,
            query_params=[("container", RUNNER_CONTAINER), *query],
            header_params={"Accept": "*/*"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*serialized, _request_timeout=timeout_seconds)
            if response.status not in LOG_CODES:
                raise error_of("GET", path, response.status, response.read())
            try:
                yield from response.response.stream(_PIECE_BYTES)
            finally:
                # If the reader stops early, the unread bytes must not become part of the next response.
                response.response.close()
                response.response.release_conn()
        except ApiException as error:
            raise error_of("GET", path, error.status or 0, error.body or error.reason) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"GET {path}: the API server cannot be reached: {error}") from error
