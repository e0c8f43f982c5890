"""An HTTP session for kopf that tells when a watch last brought something, and asks for no more than is looked at.

kopf keeps bookmarks to itself, and without them a quiet watch cannot be told from a dead one. It asks for whole
objects, of which the operator needs names, labels, annotations and versions alone: an event only marks a pipeline.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from ingestion_operator.kube.api_session import authorization, tls
from ingestion_operator.kube.login import Login

_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{0};g=meta.k8s.io;v=v1,application/json"
"""What to accept: any API server since 1.15 gives the first; a list has a name of its own."""

Watched = Callable[[str], None]
"""Is told the resource, such as jobs."""


@dataclass(frozen=True)
class Page:
    """A piece of what a watch lists before it begins."""

    plural: str
    namespace: str
    """"" for the whole cluster."""
    items: list[dict[str, Any]]
    is_first: bool
    is_last: bool


News = Callable[[Page], list[dict[str, Any]]]
"""Returns what of a page somebody has to hear of."""

_READ_BYTES: Final = 2**17


def watch_session(login: Login, watched: Watched, metadata_of: Collection[str], news: News) -> aiohttp.ClientSession:
    """Return a session that logs in as `login` says; each list and each piece of a watch is told to `watched`.

    Of the resources `metadata_of`, such as jobs, it asks for the metadata alone. Of lists it returns the `news` alone.
    """

    async def ask_for_metadata(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> Any:
        if request.method == "GET" and request.url.name in metadata_of:
            is_watch = request.url.query.get("watch") == "true"
            request.headers["Accept"] = _METADATA_ONLY.format("" if is_watch else "List")
        return await send(request)

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            resource = self.url.name
            if self.status == 200:  # noqa: PLR2004  OK
                watched(resource)
                if self.url.query.get("watch") == "true":
                    self.content = _Told(self.content, lambda: watched(resource))  # type: ignore[assignment]
            return self

        async def json(self, **options: Any) -> Any:
            document = await super().json(**options)
            if "items" in document:
                document["items"] = news(_page(self.url, document))
            return document

    connector = aiohttp.TCPConnector(limit=0, ssl=tls(login))
    return aiohttp.ClientSession(
        connector=connector,
        headers={**authorization(login), "Accept-Encoding": "identity"},  # packing costs both sides more than it saves
        response_class=Response,
        read_bufsize=_READ_BYTES,
        middlewares=[ask_for_metadata],
    )


def _page(url: URL, document: dict[str, Any]) -> Page:
    *_, parent, namespace, plural = url.parts
    return Page(
        plural,
        namespace if parent == "namespaces" else "",
        document["items"] or [],  # an empty list of metadata has null, which kopf does not expect
        is_first="continue" not in url.query,
        is_last=not document["metadata"].get("continue"),
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
