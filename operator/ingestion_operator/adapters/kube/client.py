"""Implementation of ClusterApi with the official Kubernetes client, on plain dicts.

The client's models are not used: dicts are many times faster to parse, and unknown fields of newer servers stay.
"""

import builtins
import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from ingestion_operator.adapters.kube.errors import error_of, seconds_to_wait
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.errors import ClusterError, Conflict, Invalid, NotFound, Unavailable
from ingestion_operator.ports import Kind, Propagation
from ingestion_operator.runtime.backoff import Backoff

_logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS: Final = (5.0, 20.0)
"""Time limits to connect and to read."""

_ATTEMPTS: Final = 3
_RETRY: Final = Backoff(first=0.6, last=20.0)
_PAGE_SIZE: Final = 500
JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

Document = dict[str, Any] | builtins.list[dict[str, Any]]

CallObserver = Callable[[str, str, int, float], None]
"""Is called after each request with verb, resource, HTTP code (0 without a response) and seconds."""


def read_configuration(kubeconfig: str | None = None) -> client.Configuration:
    """Return the address and credentials of a kubeconfig, otherwise of the pod's service account.

    Raises:
        ClusterError: There is neither of them.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is not None:
            config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ClusterError(
            f"no configuration of a cluster ({error}): run in a pod with a service account, or set --kubeconfig"
        ) from error
    configuration.retries = False
    return configuration


def connect(configuration: client.Configuration, *, pool_size: int = 8) -> client.ApiClient:
    """Return a client with a pool of up to `pool_size` connections."""
    configuration.connection_pool_maxsize = pool_size
    return client.ApiClient(configuration)


class KubernetesCluster:
    """One API server. All calls except `create` are retried after transient errors."""

    def __init__(
        self,
        api_client: client.ApiClient,
        *,
        timeout_seconds: tuple[float, float] = _TIMEOUT_SECONDS,
        attempts: int = _ATTEMPTS,
        clock: ServerClock | None = None,
        observe: CallObserver | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Set the limits of all calls.

        Args:
            api_client: The connections.
            timeout_seconds: The time limits to connect and to read.
            attempts: The most requests of one call.
            clock: Takes the time of the API server from its responses.
            observe: Is called after each request.
            may_write: While it returns False only reads are sent, since another replica may be writing.
        """
        self._clock = clock
        self._may_write = may_write
        self._observe = observe
        self._api = api_client
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """See ClusterReader."""
        try:
            return self._with_retries("GET", _path(kind, namespace, name))
        except ClusterError as error:
            if error.code == 404:  # noqa: PLR2004  Not Found
                return None
            raise

    def list(
        self,
        kind: Kind,
        namespace: str,
        labels: Mapping[str, str | Collection[str]],
        *,
        exclude_label: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """See ClusterReader. Without labels the objects are read page by page."""
        selector = [_requirement(key, value) for key, value in labels.items()] + (
            [f"!{exclude_label}"] if exclude_label else []
        )
        query: dict[str, Any] = {"labelSelector": ",".join(selector)}
        if not labels:  # before Kubernetes 1.34 a list with a limit is read from etcd instead of the cache
            query["limit"] = _PAGE_SIZE
        if fields:
            query["fieldSelector"] = ",".join(f"{path}={value}" for path, value in fields.items())
        # In lists of built-in kinds the items have no apiVersion and kind.
        named = {"apiVersion": kind.api_version, "kind": kind.kind}
        found: builtins.list[dict[str, Any]] = []
        while True:
            page = self._with_retries("GET", _path(kind, namespace), query)
            found += [named | item for item in page.get("items") or []]
            if not (token := page.get("metadata", {}).get("continue")):
                return found
            query["continue"] = token

    def create(self, kind: Kind, body: dict[str, Any], *, field_manager: str = "") -> dict[str, Any]:
        """See ClusterWriter."""
        self._check_fence("POST", kind.plural)
        query = {"fieldManager": field_manager} if field_manager else {}
        return self._call("POST", _path(kind, body["metadata"]["namespace"]), query, body, JSON)

    def apply(
        self,
        kind: Kind,
        body: dict[str, Any],
        *,
        field_manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """See ClusterWriter."""
        path = _path(kind, body["metadata"]["namespace"], body["metadata"]["name"], subresource)
        query = {"fieldManager": field_manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        return self._with_retries("PATCH", path, query, body, APPLY_PATCH)

    def replace_spec(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        spec: dict[str, Any],
        *,
        uid: str,
        annotations: Mapping[str, str],
        field_manager: str,
    ) -> dict[str, Any]:
        """See ClusterWriter."""
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/spec", "value": spec},
            *(
                {"op": "add", "path": f"/metadata/annotations/{_pointer(key)}", "value": value}
                for key, value in annotations.items()
            ),
        ]
        try:
            return self._with_retries(
                "PATCH", _path(kind, namespace, name), {"fieldManager": field_manager}, patch, JSON_PATCH
            )
        except Invalid as error:
            if "testing value" in str(error) or "test operation" in str(error).lower():
                raise Conflict(str(error), code=409) from error  # the object was replaced by another one with its name
            raise

    def merge_patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str = "",
        field_manager: str = "",
    ) -> dict[str, Any]:
        """See ClusterWriter."""
        query = {"fieldManager": field_manager} if field_manager else {}
        return self._with_retries("PATCH", _path(kind, namespace, name, subresource), query, patch, MERGE_PATCH)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation,
        uid: str = "",
        resource_version: str = "",
    ) -> None:
        """See ClusterWriter."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {key: value for key, value in conditions.items() if value},
        }
        with contextlib.suppress(NotFound):
            self._with_retries("DELETE", _path(kind, namespace, name), {}, options)

    def can_i(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        """See ClusterReader."""
        group = kind.api_version.rpartition("/")[0]
        attributes = {"verb": verb, "group": group, "resource": kind.plural, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | ({"subresource": subresource} if subresource else {})},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._with_retries("POST", path, {}, review).get("status", {}).get("allowed"))

    def _with_retries(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Document | None = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        self._check_fence(method, path)
        pause_budget = self._timeout_seconds[1]  # all pauses together take at most the time of one more read
        for attempt in range(1, self._attempts):
            try:
                return self._call(method, path, query or {}, body, content_type)
            except Unavailable as error:
                pause = _RETRY.delay(attempt)
                if error.retry_after:
                    pause += error.retry_after  # with the jitter: other clients got the same Retry-After
                pause_budget -= pause
                if error.retry_after and pause_budget < 0:
                    raise  # the caller retries later; earlier requests would not respect Retry-After
                _logger.info("Retrying in %.1f s: %s", pause, error)
                time.sleep(pause)
                if not self._may_write():
                    raise  # a replica that does not lead, or shuts down, does not retry, not even reads
        return self._call(method, path, query or {}, body, content_type)

    def _check_fence(self, method: str, path: str) -> None:
        if method != "GET" and not self._may_write():
            raise Unavailable(
                f"{method} {path} was not sent: this replica shuts down, or has not renewed its Lease in time"
            )

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Document | None,
        content_type: str,
    ) -> dict[str, Any]:
        headers = {"Accept": JSON}
        if body is not None:
            headers["Content-Type"] = content_type
        start, code = time.monotonic(), 0
        serialized = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        sent_at = self._clock.machine_now() if self._clock else None
        try:
            response = self._api.call_api(*serialized, _request_timeout=self._timeout_seconds)
            if self._clock and sent_at:
                self._clock.learn(response.headers.get("Date"), sent_at)
            data, code = response.read(), response.status
            if not 200 <= response.status < 300:  # noqa: PLR2004  the HTTP codes of success
                wait = seconds_to_wait(response.status, response.headers.get("Retry-After"))
                raise error_of(method, path, response.status, data, retry_after=wait)
        except ApiException as error:
            code = error.status or 0
            raise error_of(method, path, code, error.body or error.reason) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"{method} {path}: the API server cannot be reached: {error}") from error
        finally:
            if self._observe is not None:
                self._observe(method, _resource(path), code, time.monotonic() - start)
        return _document(f"{method} {path}", data)


def _document(call: str, data: bytes) -> dict[str, Any]:
    """Return the object in a response. Raises Unavailable if there is none, such as in the error page of a proxy."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{call}: the response is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unavailable(f"{call}: the response is not an object")
    return document


def _requirement(key: str, value: str | Collection[str]) -> str:
    return f"{key}={value}" if isinstance(value, str) else f"{key} in ({','.join(value)})"


def _pointer(key: str) -> str:
    """Return a key, escaped for a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _path(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    parts = [root, f"namespaces/{namespace}" if namespace else "", kind.plural, name, subresource]
    return "/".join(part for part in parts if part)


def _resource(path: str) -> str:
    """Return the resource in a path of `_path`, such as jobs or cronjobs/status."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    if parts[0] == "namespaces" and len(parts) > 2:  # noqa: PLR2004  namespaces/NAME before the resource
        parts = parts[2:]
    return "/".join([parts[0], *parts[2:]])
