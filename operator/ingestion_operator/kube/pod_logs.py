"""PodLogs over the official Kubernetes client, streamed."""

from collections.abc import Iterator
from typing import Any, Final

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.errors import Unavailable
from ingestion_operator.kube.translation import error_of

_TIMEOUT_SECONDS: Final = (2.0, 10.0)
"""To connect, and for each piece."""

_TAIL_TIMEOUT_SECONDS: Final = (2.0, 3.0)
"""A tail is asked for while something more important waits, perhaps of a node that does not answer."""

_PIECE_BYTES: Final = 64 * 1024
_TAIL_BYTES: Final = 1024 * 1024
"""Counted by the kubelet from the first line of the tail on: enough for what the tail is for."""


class KubernetesPodLogs:
    """Reads logs through the API server, piece by piece."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._api = api_client

    def read(self, namespace: str, pod: str) -> Iterator[bytes]:
        """Yield the log of the runner's container."""
        return self._stream(namespace, pod, {}, _TIMEOUT_SECONDS)

    def tail(self, namespace: str, pod: str, lines: int) -> str:
        """Return the last lines of the runner's container."""
        bounds = {"tailLines": lines, "limitBytes": _TAIL_BYTES}
        return b"".join(self._stream(namespace, pod, bounds, _TAIL_TIMEOUT_SECONDS)).decode(errors="replace")

    def _stream(
        self, namespace: str, pod: str, bounds: dict[str, Any], timeout_seconds: tuple[float, float]
    ) -> Iterator[bytes]:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        serialized = self._api.param_serialize(
            "GET",
            path,
            query_params=[("container", RUNNER_CONTAINER), *bounds.items()],
            header_params={"Accept": "*/*"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*serialized, _request_timeout=timeout_seconds)
            if response.status != 200:  # noqa: PLR2004  OK
                raise error_of("GET", path, response.status, response.read())
            try:
                yield from response.response.stream(_PIECE_BYTES)
            finally:
                # A reader that has seen enough leaves bytes behind, which would be the next call's answer.
                response.response.close()
                response.response.release_conn()
        except ApiException as error:
            raise error_of("GET", path, error.status or 0, error.body or error.reason) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"GET {path}: the API server cannot be reached: {error}") from error
