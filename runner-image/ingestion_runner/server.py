"""HTTP client for OpenMetadata's API with the standard library. Each call is bounded in time and size."""

import http.client
import importlib.util
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from ingestion_runner.inputs import Server
from ingestion_runner.outcomes import ConfigurationError, Reason, RunError
from ingestion_runner.text import cut, one_line

MAX_RESPONSE_BYTES = 4 * 1024 * 1024
"""A row has some kB, a service some tens of kB. A larger response does not come from OpenMetadata."""

_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_REASONS = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN}


class ServerCallError(RunError):
    """A call that failed. ``status`` is None without a response; after a ``transient`` error a retry may succeed."""

    def __init__(self, reason: Reason, message: str, *, status: int | None = None, transient: bool = False) -> None:
        super().__init__(reason, message)
        self.status = status
        self.transient = transient


class ServerClient:
    """Sends GET, PUT and PATCH of JSON below ``<hostPort>/v1``, with the bot's token and the extra headers.

    Raises:
        ConfigurationError: The CA certificate cannot be read, or an extra header is malformed.
    """

    def __init__(self, server: Server, token: str | None) -> None:
        self._server = server
        self._headers = _headers(server.extra_headers or {}, token)
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_tls_context(server)), _RefuseRedirects()
        )

    def get(self, *path: str, timeout: float) -> Any:
        """Return the decoded response, or None if it is empty.

        Raises:
            ServerCallError: No response, a status outside 200-299, or not JSON.
        """
        return self._call("GET", path, None, timeout)

    def put(self, *path: str, body: Mapping[str, Any], timeout: float) -> Any:
        """Send a body. Otherwise like :meth:`get`."""
        return self._call("PUT", path, json.dumps(body).encode(), timeout)

    def patch(self, *path: str, operations: Sequence[Mapping[str, Any]], timeout: float) -> Any:
        """Send the operations of a JSON Patch (RFC 6902). Otherwise like :meth:`get`."""
        headers = {"Content-Type": "application/json-patch+json"}
        return self._call("PATCH", path, json.dumps(operations).encode(), timeout, headers)

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        body: bytes | None,
        timeout: float,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        url = "/".join([self._server.host_port, "v1", *(quote(part, safe="") for part in path)])
        call = f"{method} {url}"
        # S310: the scheme was checked when the input was read.
        request = urllib.request.Request(  # noqa: S310
            url, data=body, headers={**self._headers, **(headers or {})}, method=method
        )
        try:
            with self._opener.open(request, timeout=timeout) as response:
                content = response.read(MAX_RESPONSE_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _error_of(call, error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", error)
            raise ServerCallError(
                Reason.SERVER_UNREACHABLE, f"{call} got no response: {cause}", transient=True
            ) from error
        return _decoded(call, content)


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    # A redirect would send the token to another host; OpenMetadata's API sends none.
    def redirect_request(self, *_: Any) -> None:
        return None


def _decoded(call: str, content: bytes) -> Any:
    if not content.strip():
        return None
    message = f"{call} did not return JSON: is hostPort OpenMetadata's API, with /api at its end?"
    if len(content) > MAX_RESPONSE_BYTES:
        raise ServerCallError(Reason.SERVER_ERROR, message)
    try:
        return json.loads(content)
    except ValueError as error:
        raise ServerCallError(Reason.SERVER_ERROR, message) from error


def _error_of(call: str, error: urllib.error.HTTPError) -> ServerCallError:
    return ServerCallError(
        _REASONS.get(error.code, Reason.SERVER_ERROR),
        f"{call} returned {error.code}{_explanation(error)}",
        status=error.code,
        transient=error.code in _TRANSIENT_STATUSES,
    )


def _explanation(body: IO[bytes]) -> str:
    try:
        text = body.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    try:
        message = json.loads(text)["message"]
    except (ValueError, LookupError, TypeError):
        message = text
    return f": {cut(one_line(str(message)), 300)}" if message else ""


def _headers(extra: Mapping[str, str], token: str | None) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "ingestion-runner",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        # The same convention as the library's: "%(Authorization)s" stands for that header's value.
        return headers | {name: value % headers for name, value in extra.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"server.extraHeaders: a value has a malformed % placeholder ({error!r})") from error


def _tls_context(server: Server) -> ssl.SSLContext:
    if server.verify_ssl == "ignore":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cafile=server.ca_certificate)
    except OSError as error:
        raise ConfigurationError(f"the CA certificate {server.ca_certificate} cannot be read: {error}") from error
    bundle = bundled_ca_certificates()
    if server.ca_certificate is None and bundle:
        context.load_verify_locations(cafile=bundle)
    return context


def bundled_ca_certificates() -> str | None:
    """Path of the CA bundle that the library's HTTP client uses: a slim base image may bring none."""
    spec = importlib.util.find_spec("certifi")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("cacert.pem")
    return str(path) if path.is_file() else None
