"""The pipeline service client inside an OpenMetadata server, with its habits on the wire.

Two generations: `ServerClient.old` (0.12 to 1.10) knows one root; `ServerClient.new` searches a root, fetches a
CSRF token before it changes anything, and sends a request again when a 400 speaks of the token. Both: HTTP/1.1
with kept connections, Basic authentication unasked, a JSON content type on everything, Content-Length 0 without a
body, form-encoded names, no redirects, only 200 is success.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlencode

OLD_ROOTS: Final = ("/api/v1/openmetadata",)
NEW_ROOTS: Final = ("/pluginsv2/api/v2/openmetadata", "/api/v2/openmetadata", "/api/v1/openmetadata")
_PROBE_SECONDS: Final = 5


class Unreachable(AssertionError):
    """None of the roots answered the probe: "Unable to connect to Airflow APIs" in a server's log."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    code: int
    body: bytes
    headers: http.client.HTTPMessage = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of a success, which it must be."""
        assert self.code == 200, (self.code, self.body)
        assert list(self.json) == ["message"]
        return str(self.json["message"])

    @property
    def error(self) -> str:
        """The text of a refusal or failure, which it must be."""
        assert self.code != 200
        assert list(self.json) == ["error"]
        return str(self.json["error"])


class ServerClient:
    """Calls a gateway as a server does."""

    def __init__(
        self,
        port: int,
        *,
        roots: tuple[str, ...],
        username: str = "admin",
        password: str = "secret",  # noqa: S107  the setting of the tests' gateways
        path: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=60, context=tls)
            if tls
            else http.client.HTTPConnection(host, port, timeout=60)
        )
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._authorization = f"Basic {pair}"
        self._path = path
        self._roots = roots
        self._root: str | None = None
        self._token: str | None = None
        self.requests: list[tuple[str, str]] = []

    @classmethod
    def old(cls, port: int, **options: Any) -> Self:
        """A server of 0.12 to 1.10."""
        client = cls(port, roots=OLD_ROOTS, **options)
        client._root = OLD_ROOTS[0]
        client._token = "none asked for"
        return client

    @classmethod
    def new(cls, port: int, **options: Any) -> Self:
        """A server that knows Airflow 3."""
        return cls(port, roots=NEW_ROOTS, **options)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # One method for each call of the server.

    def deploy(self, entity: Mapping[str, Any]) -> Reply:
        return self.change("POST", "deploy", body=entity)

    def trigger(self, name: str, conf: Mapping[str, Any] | None = None) -> Reply:
        return self.change("POST", "trigger", body={"dag_id": name} | ({"conf": conf} if conf is not None else {}))

    def enable(self, name: str) -> Reply:
        return self.change("POST", "enable", body={"dag_id": name})

    def disable(self, name: str) -> Reply:
        return self.change("POST", "disable", body={"dag_id": name})

    def kill(self, name: str) -> Reply:
        return self.change("POST", "kill", body={"dag_id": name})

    def delete(self, name: str) -> Reply:
        return self.change("DELETE", "delete", {"dag_id": name})

    def queued(self, name: str) -> Reply:
        return self.read("status", {"dag_id": name, "only_queued": "true"})

    def logs(self, name: str, task: str = "ingestion_task", after: str = "") -> Reply:
        return self.read("last_dag_logs", {"after": after, "dag_id": name, "task_id": task})

    # The wire.

    @property
    def root(self) -> str:
        """The root in use; found at the first call and kept for the life of the server."""
        if self._root is None:
            self._root = next((root for root in self._roots if self._answers(root)), None)
            if self._root is None:
                raise Unreachable(f"none of {', '.join(self._roots)} answers")
        return self._root

    def read(self, endpoint: str, query: Mapping[str, str] | None = None) -> Reply:
        """GET an endpoint."""
        return self.send("GET", f"{self.root}/{endpoint}", query)

    def change(self, method: str, endpoint: str, query: Mapping[str, str] | None = None, *, body: Any = None) -> Reply:
        """POST or DELETE an endpoint, with the token's detours."""
        path = f"{self.root}/{endpoint}"
        if self._token is None:
            self._fetch_token()
        reply = self.send(method, path, query, body=body)
        if reply.code == 400 and b"CSRF token" in reply.body:
            self._fetch_token()
            reply = self.send(method, path, query, body=body)
        return reply

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request. `body` is an object to send as JSON, or bytes to send as they are."""
        target = self._path + path + (f"?{urlencode(query)}" if query else "")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            "User-Agent": "Java-http-client/17.0.11",
            **({"X-CSRFToken": self._token} if self._token else {}),
            **(headers or {}),
        }
        self.requests.append((method, path))
        self._connection.request(method, target, data, {key: value for key, value in sent.items() if value})
        response = self._connection.getresponse()
        return Reply(response.status, response.read(), response.headers)

    def _answers(self, root: str) -> bool:
        self._connection.timeout = _PROBE_SECONDS
        try:
            reply = self.send("GET", f"{root}/health-auth")
            return reply.code == 200 and isinstance(reply.json.get("version"), str)
        except (TimeoutError, ValueError):
            self._connection.close()
            return False
        finally:
            self._connection.timeout = 60
            if self._connection.sock:  # the probe's bound would stay with the open connection
                self._connection.sock.settimeout(60)

    def _fetch_token(self) -> None:
        reply = self.send("GET", f"{self.root}/csrf-token")
        self._token = reply.json.get("csrf_token") if reply.code == 200 else None
