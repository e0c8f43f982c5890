"""Calls to the fake OpenMetadata server's imitated API, as the tests of this folder make them."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from testing.fake_openmetadata_client import FakeServerClient

TOKEN = "a-bot-token"


class Api:
    """Calls OpenMetadata's API the way a client does."""

    def __init__(self, fake_server: FakeServerClient) -> None:
        self._address = urlsplit(fake_server.base_url).netloc

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN, root: str = "/api/v1"
    ) -> tuple[int, Any]:
        """Status and decoded body; raises OSError or HTTPException when the connection is cut."""
        connection = HTTPConnection(self._address, timeout=10)
        try:
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, root + path, content, {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(text) if is_json else text

    def make(self, kind: str, *bodies: dict[str, Any]) -> dict[str, Any]:
        """Create entities in bulk; the result must be a success."""
        status, result = self.call("PUT", f"/{kind}/bulk", list(bodies))
        assert status == 200, result
        assert isinstance(result, dict)
        return result
