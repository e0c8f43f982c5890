"""Implementation of StatusSink with OpenMetadata's REST API, and the server's version.

Each call is one request on a persistent connection, without retries, redirects or proxies of the environment. The
caller decides when to retry. The endpoints are described in docs/development/rest-contract.md.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import urllib3

from ingestion_operator.adapters.openmetadata.tls import tls_context
from ingestion_operator.constants import MANAGED_BY
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Unavailable
from ingestion_operator.ports import ServerAccess
from ingestion_operator.runs.truncate import cut

_CONNECT_SECONDS: Final = 2.0
_RESPONSE_SECONDS: Final = 5.0
_RESPONSE_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""A row has some kB. A larger response does not come from OpenMetadata."""

_PIECE_BYTES: Final = 64 * 1024
_EXPLANATION_BYTES: Final = 300
_JSON: Final = "application/json"
_BY_CODE: Final[Mapping[int, type[ClusterError]]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    413: Invalid,
    422: Invalid,
}


class OpenMetadataStatusSink:
    """Reads and writes rows. May be shared by threads; connections are kept per server."""

    def __init__(self, *, response_seconds: float = _RESPONSE_SECONDS) -> None:
        self._response_seconds = response_seconds
        # verifySSL: ignore is a decision of the user: no warning at each call.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._pools = {
            verifies: urllib3.PoolManager(
                num_pools=20,
                maxsize=4,
                retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=response_seconds),
                ssl_context=tls_context(verifies=verifies),
            )
            for verifies in (True, False)
        }

    def read(self, server: ServerAccess, fully_qualified_name: str, run_id: str) -> dict[str, Any] | None:
        """Return the row of a run, or None if there is none, which servers report in different ways."""
        try:
            row = self._call("GET", server, _path(fully_qualified_name, run_id))
        except NotFound:
            return None
        if row is not None and not isinstance(row, dict):
            raise Unavailable(f"GET of run {run_id} at {server.host_port} returned a document that is not a row")
        return row

    def write(self, server: ServerAccess, fully_qualified_name: str, row: dict[str, Any]) -> None:
        """Create or replace the row of a run."""
        self._call("PUT", server, _path(fully_qualified_name), json.dumps(row).encode())

    def version(self, server: ServerAccess) -> str | None:
        """Return the server's version, such as 2.0.6, or None if the response has no readable version.

        The token is not sent, since the endpoint does not need it.
        """
        response = self._call("GET", replace(server, token=None), "/v1/system/version")
        version = response.get("version") if isinstance(response, dict) else None
        return version if isinstance(version, str) else None

    def _call(self, method: str, server: ServerAccess, path: str, body: bytes | None = None) -> Any:
        """Return the decoded response, or None for an empty one."""
        call = f"{method} {server.host_port}{path}"
        try:
            response = self._pools[server.verify_ssl != "ignore"].request(
                method,
                f"{server.host_port}{path}",
                body=body,
                headers=_headers(server.token),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            content = self._read_body(call, response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(_masked(f"{call} got no response: {error}", server)) from error
        if not 200 <= response.status < 300:  # noqa: PLR2004  the HTTP codes of success
            raise _error(call, response.status, content, server)
        return _decoded(call, content)

    def _read_body(self, call: str, response: urllib3.BaseHTTPResponse) -> bytes:
        """Read the body. Close the connection if it is too large or comes too slowly."""
        limit = time.monotonic() + self._response_seconds
        content, problem = b"", ""
        try:
            while not problem and (piece := response.read1(_PIECE_BYTES)):
                content += piece
                if len(content) > _RESPONSE_LIMIT_BYTES:
                    problem = f"sent more than {_RESPONSE_LIMIT_BYTES} bytes"
                elif time.monotonic() > limit:
                    problem = "responded too slowly"
        finally:
            if problem:
                response.close()  # otherwise the rest would be part of the next response
            response.release_conn()
        if problem:
            raise Unavailable(f"{call}: the server {problem}")
        return content


def _path(*parts: str) -> str:
    name, *run = (quote(part, safe="") for part in parts)
    return "/".join(["/v1/services/ingestionPipelines", name, "pipelineStatus", *run])


def _headers(token: str | None) -> dict[str, str]:
    headers = {"Accept": _JSON, "Content-Type": _JSON, "User-Agent": MANAGED_BY}
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _decoded(call: str, content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            f"{call} did not return JSON: is hostPort OpenMetadata's API, with /api at its end?"
        ) from error


def _error(call: str, code: int, content: bytes, server: ServerAccess) -> ClusterError:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    kind = _BY_CODE.get(code, Unavailable)
    if kind is NotFound and not isinstance(document, dict):
        kind = Unavailable  # not a response of OpenMetadata, but of a proxy in front of it
    explanation = document.get("message") if isinstance(document, dict) else content.decode(errors="replace")
    explanation = cut(str(explanation or ""), _EXPLANATION_BYTES)
    return kind(_masked(f"{call} returned {code}: {explanation}", server), code=code)


def _masked(text: str, server: ServerAccess) -> str:
    """Remove the token, which an error message may repeat."""
    return text.replace(server.token, "***") if server.token else text
