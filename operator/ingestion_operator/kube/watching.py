"""An HTTP session for kopf that tells when a watch last brought something.

kopf keeps bookmarks to itself, and without them a quiet watch cannot be told from a dead one.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp

from ingestion_operator.kube.log_follower import authorization, tls
from ingestion_operator.kube.login import Login

Watched = Callable[[str], None]
"""Is told the resource, such as jobs."""

_READ_BYTES: Final = 2**17


def watch_session(login: Login, watched: Watched) -> aiohttp.ClientSession:
    """Return a session that logs in as `login` says; each list and each piece of a watch is told to `watched`."""

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            resource = self.url.path.rpartition("/")[2]
            if self.status == 200:  # noqa: PLR2004  OK
                watched(resource)
                if self.url.query.get("watch") == "true":
                    self.content = _Told(self.content, lambda: watched(resource))  # type: ignore[assignment]
            return self

    connector = aiohttp.TCPConnector(limit=0, ssl=tls(login))
    return aiohttp.ClientSession(
        connector=connector, headers=authorization(login), response_class=Response, read_bufsize=_READ_BYTES
    )


class _Told:
    """A stream that says so whenever it brings something."""

    def __init__(self, content: aiohttp.StreamReader, tell: Callable[[], None]) -> None:
        self._content = content
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for piece in self._content.iter_chunked(size):
            self._tell()
            yield piece
