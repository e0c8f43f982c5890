"""StatusSink over OpenMetadata's REST API, and the server's version.

Each call is one request on a kept connection: no repetition, no redirect, no proxy of the environment. Who calls
decides when to try again.
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
_ANSWER_SECONDS: Final = 5.0
_ANSWER_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""A row has some kB; more than this is no answer of OpenMetadata."""

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

    def __init__(self, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        # Who wrote verifySSL: ignore knows it; a warning at each call would tell nobody.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._pools = {
            verifies: urllib3.PoolManager(
                num_pools=20,
                maxsize=4,
                retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=answer_seconds),
                ssl_context=tls_context(verifies=verifies),
            )
            for verifies in (True, False)
        }

    def read(self, server: ServerAccess, fully_qualified_name: str, run_id: str) -> dict[str, Any] | None:
        """Return the row of a run. Servers differ in how they say that there is none."""
        try:
            row = self._call("GET", server, _path(fully_qualified_name, run_id))
        except NotFound:
            return None
        if row is not None and not isinstance(row, dict):
            raise Unavailable(f"GET of run {run_id} at {server.host_port} was answered with something that is no row")
        return row

    def write(self, server: ServerAccess, fully_qualified_name: str, row: dict[str, Any]) -> None:
        """Create or replace the row of a run."""
        self._call("PUT", server, _path(fully_qualified_name), json.dumps(row).encode())

    def version(self, server: ServerAccess) -> str | None:
        """Return what the server says it is, such as 2.0.6; None where it says nothing that can be understood.

        The token is not sent: nobody needs one to ask.
        """
        answer = self._call("GET", replace(server, token=None), "/v1/system/version")
        version = answer.get("version") if isinstance(answer, dict) else None
        return version if isinstance(version, str) else None

    def _call(self, method: str, server: ServerAccess, path: str, body: bytes | None = None) -> Any:
        """Return the decoded answer, None for an empty one."""
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
            answer = self._answer(call, response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(_masked(f"{call} got no answer: {error}", server)) from error
        if not 200 <= response.status < 300:  # noqa: PLR2004  the HTTP codes of success
            raise _refusal(call, response.status, answer, server)
        return _decoded(call, answer)

    def _answer(self, call: str, response: urllib3.BaseHTTPResponse) -> bytes:
        """Read the body; whoever sends it too slowly, or too much of it, loses the connection."""
        limit = time.monotonic() + self._answer_seconds
        answer, problem = b"", ""
        try:
            while not problem and (piece := response.read1(_PIECE_BYTES)):
                answer += piece
                if len(answer) > _ANSWER_LIMIT_BYTES:
                    problem = f"with more than {_ANSWER_LIMIT_BYTES} bytes"
                elif time.monotonic() > limit:
                    problem = "too slowly"
        finally:
            if problem:
                response.close()  # else the rest would be the next call's answer
            response.release_conn()
        if problem:
            raise Unavailable(f"{call} was answered {problem}")
        return answer


def _path(*parts: str) -> str:
    name, *run = (quote(part, safe="") for part in parts)
    return "/".join(["/v1/services/ingestionPipelines", name, "pipelineStatus", *run])


def _headers(token: str | None) -> dict[str, str]:
    headers = {"Accept": _JSON, "Content-Type": _JSON, "User-Agent": MANAGED_BY}
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _decoded(call: str, answer: bytes) -> Any:
    if not answer.strip():
        return None
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            f"{call} was not answered with JSON: is hostPort OpenMetadata's API, with /api at its end?"
        ) from error


def _refusal(call: str, code: int, answer: bytes, server: ServerAccess) -> ClusterError:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    kind = _BY_CODE.get(code, Unavailable)
    if kind is NotFound and not isinstance(document, dict):
        kind = Unavailable  # not OpenMetadata's word: something in front of a server that is not there
    words = document.get("message") if isinstance(document, dict) else answer.decode(errors="replace")
    explanation = cut(str(words or ""), _EXPLANATION_BYTES)
    return kind(_masked(f"{call} was answered with {code}: {explanation}", server), code=code)


def _masked(text: str, server: ServerAccess) -> str:
    """Leave out the token, should somebody have echoed it."""
    return text.replace(server.token, "***") if server.token else text
