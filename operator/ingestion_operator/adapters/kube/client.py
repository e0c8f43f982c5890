"""ClusterApi over the official Kubernetes client, at the level of dicts.

Models are left alone on purpose: dicts are many times faster to read, and fields of newer servers do no harm.
"""

import builtins
import contextlib
import json
import logging
import random
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

_logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS: Final = (5.0, 20.0)
"""To connect, and to read."""

_ATTEMPTS: Final = 3
_BACKOFF_SECONDS: Final = 0.3
_PAGE_SIZE: Final = 500
JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

Document = dict[str, Any] | builtins.list[dict[str, Any]]

CallObserver = Callable[[str, str, int, float], None]
"""Is told of each request: verb, resource, HTTP code (0: none came), seconds."""


def read_configuration(kubeconfig: str | None = None) -> client.Configuration:
    """Return where the cluster is and how to log in: from a kubeconfig, else from the pod's service account.

    Raises ClusterError when neither is there, naming both.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is not None:
            config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ClusterError(
            f"no cluster to talk to ({error}): run inside a pod with a service account, or give --kubeconfig"
        ) from error
    configuration.retries = False
    return configuration


def connect(configuration: client.Configuration, *, pool_size: int = 8) -> client.ApiClient:
    """Return a client that keeps up to `pool_size` connections."""
    configuration.connection_pool_maxsize = pool_size
    return client.ApiClient(configuration)


class KubernetesCluster:
    """One API server. Reads, applies and merge patches are repeated on passing faults; creates are not."""

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
        """Bound each call: `timeout_seconds` to connect and to read, so often before it fails for good.

        `clock` learns the API server's time from its answers. While `may_write` says no, nothing but reads is sent:
        another replica may be writing.
        """
        self._clock = clock
        self._may_write = may_write
        self._observe = observe
        self._api = api_client
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the object or None."""
        try:
            return self._repeated("GET", _path(kind, namespace, name))
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
        without: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects that carry all the labels and not the one `without`; without labels page by page."""
        selector = [_requirement(key, value) for key, value in labels.items()] + ([f"!{without}"] if without else [])
        query: dict[str, Any] = {"labelSelector": ",".join(selector)}
        if not labels:  # before Kubernetes 1.34 a limit makes the API server search etcd instead of its cache
            query["limit"] = _PAGE_SIZE
        if fields:
            query["fieldSelector"] = ",".join(f"{path}={value}" for path, value in fields.items())
        # Lists of Kubernetes' own kinds do not repeat in each object what it is.
        named = {"apiVersion": kind.api_version, "kind": kind.kind}
        found: builtins.list[dict[str, Any]] = []
        while True:
            page = self._repeated("GET", _path(kind, namespace), query)
            found += [named | item for item in page.get("items") or []]
            if not (token := page.get("metadata", {}).get("continue")):
                return found
            query["continue"] = token

    def create(self, kind: Kind, body: dict[str, Any], *, field_manager: str = "") -> dict[str, Any]:
        """Create the object."""
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
        """Server-side apply with force."""
        path = _path(kind, body["metadata"]["namespace"], body["metadata"]["name"], subresource)
        query = {"fieldManager": field_manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        return self._repeated("PATCH", path, query, body, APPLY_PATCH)

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
        """Replace the whole spec and set annotations, by JSON patch."""
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/spec", "value": spec},
            *(
                {"op": "add", "path": f"/metadata/annotations/{_pointer(key)}", "value": value}
                for key, value in annotations.items()
            ),
        ]
        try:
            return self._repeated(
                "PATCH", _path(kind, namespace, name), {"fieldManager": field_manager}, patch, JSON_PATCH
            )
        except Invalid as error:
            if "testing value" in str(error) or "test operation" in str(error).lower():
                raise Conflict(str(error), code=409) from error  # the object was replaced by another of its name
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
        """Apply a JSON merge patch."""
        query = {"fieldManager": field_manager} if field_manager else {}
        return self._repeated("PATCH", _path(kind, namespace, name, subresource), query, patch, MERGE_PATCH)

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
        """Ask for the object's end."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {key: value for key, value in conditions.items() if value},
        }
        with contextlib.suppress(NotFound):
            self._repeated("DELETE", _path(kind, namespace, name), {}, options)

    def may(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        """Ask the API server for this program's own permission."""
        group = kind.api_version.rpartition("/")[0]
        attributes = {"verb": verb, "group": group, "resource": kind.plural, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | ({"subresource": subresource} if subresource else {})},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._repeated("POST", path, {}, review).get("status", {}).get("allowed"))

    def _repeated(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Document | None = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        self._check_fence(method, path)
        patience = self._timeout_seconds[1]  # for all pauses together: as long as one more answer might have taken
        for attempt in range(1, self._attempts):
            try:
                return self._call(method, path, query or {}, body, content_type)
            except Unavailable as error:
                pause = random.uniform(0.5, 1.0) * _BACKOFF_SECONDS * 2**attempt  # noqa: S311  jitter
                if error.retry_after:
                    pause += error.retry_after  # the jitter stays: others were told the same
                patience -= pause
                if error.retry_after and patience < 0:
                    raise  # whoever asked comes back later; earlier than it asks for, the server is left alone
                _logger.info("Repeating in %.1f s: %s", pause, error)
                time.sleep(pause)
                if not self._may_write():
                    raise  # a replica that does not lead, or ends, repeats nothing, reads neither
        return self._call(method, path, query or {}, body, content_type)

    def _check_fence(self, method: str, path: str) -> None:
        if method != "GET" and not self._may_write():
            raise Unavailable(f"{method} {path} is not sent: this replica ends, or has not renewed its Lease in time")

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
        begun, code = time.monotonic(), 0
        serialized = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        asked = self._clock.machine_now() if self._clock else None
        try:
            response = self._api.call_api(*serialized, _request_timeout=self._timeout_seconds)
            if self._clock and asked:
                self._clock.learn(response.headers.get("Date"), asked)
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
                self._observe(method, _resource(path), code, time.monotonic() - begun)
        return _document(f"{method} {path}", data)


def _document(call: str, data: bytes) -> dict[str, Any]:
    """Return the object in an answer. Raises Unavailable for that of a proxy."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{call}: the answer is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unavailable(f"{call}: the answer is not an object")
    return document


def _requirement(key: str, value: str | Collection[str]) -> str:
    return f"{key}={value}" if isinstance(value, str) else f"{key} in ({','.join(value)})"


def _pointer(key: str) -> str:
    """Return a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _path(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    parts = [root, f"namespaces/{namespace}" if namespace else "", kind.plural, name, subresource]
    return "/".join(part for part in parts if part)


def _resource(path: str) -> str:
    """Return the resource that a path of `_path` names, such as jobs or cronjobs/status."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    if parts[0] == "namespaces" and len(parts) > 2:  # noqa: PLR2004  namespaces/NAME before the resource
        parts = parts[2:]
    return "/".join([parts[0], *parts[2:]])
