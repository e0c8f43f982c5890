"""The HTTP session of kopf's watch of IngestionPipelines, which retries failed requests without end.

kopf stops completely when a list or watch is rejected for some seconds, or immediately when a watch returns an error.
The cache does not depend on kopf's watch, so the process must not end with it: this session hides such errors from
kopf. kopf requests whole objects and reads only their names, so it gets only the metadata. Lists are empty, since the
cache enqueues the listed objects.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp

from ingestion_operator.adapters.kube.api_session import authorization, tls
from ingestion_operator.adapters.kube.credentials import ApiCredentials
from ingestion_operator.runtime.backoff import Backoff

_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{0};g=meta.k8s.io;v=v1,application/json"
"""The header Accept: API servers since 1.15 send the first type, which has another name for lists."""

_RETRY: Final = Backoff(first=0.5, last=10.0)
_CHANGES: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
_GONE: Final = 410
_EXPIRED_EVENT: Final = b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'
"""The event after which kopf lists again."""

_READ_BYTES: Final = 2**17


def kopf_session(read_credentials: Callable[[], ApiCredentials], resource: str) -> aiohttp.ClientSession:
    """Return a session for one kind of resource, such as ingestionpipelines.

    `read_credentials` is called again, in a thread, when the credentials are rejected.
    """
    credentials = read_credentials()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls(credentials)),
        headers={**authorization(credentials), "Accept-Encoding": "identity"},
        response_class=_Response,
        read_bufsize=_READ_BYTES,
        middlewares=[_retrying(read_credentials, resource)],
    )


def _retrying(read_credentials: Callable[[], ApiCredentials], resource: str) -> aiohttp.ClientMiddlewareType:
    """Return a middleware that retries a list or watch until it succeeds."""

    async def retry(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> Any:
        if request.method != "GET" or request.url.name != resource:
            return await send(request)
        is_watch = request.url.query.get("watch") == "true"
        request.headers["Accept"] = _METADATA_ONLY.format("" if is_watch else "List")
        failures = 0
        while True:
            try:
                response = await send(request)
                if response.status == 200 and (is_watch or await _is_list(response)):  # noqa: PLR2004  OK
                    return response
                response.close()
                if response.status == 401:  # noqa: PLR2004  Unauthorized
                    request.headers.update(authorization(await asyncio.to_thread(read_credentials)))
            except (aiohttp.ClientError, TimeoutError):
                pass  # the API server is unreachable
            failures += 1
            await asyncio.sleep(_RETRY.delay(failures))

    return retry


async def _is_list(response: aiohttp.ClientResponse) -> bool:
    """Return whether a response is a list and not an error page of a proxy."""
    try:
        document = await response.json()
        return bool(document["metadata"]["resourceVersion"])
    except (aiohttp.ContentTypeError, ValueError, TypeError, LookupError, RecursionError):
        return False


class _Response(aiohttp.ClientResponse):
    """A response whose list is empty, and whose watch has no errors except for an expired version."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.url.query.get("watch") == "true":
            self.content = _WithoutErrors(self.content, is_expired=self.status == _GONE)  # type: ignore[assignment]
            self.status = 200 if self.status == _GONE else self.status
        return self

    async def json(self, **options: Any) -> Any:
        document = await super().json(**options)
        if isinstance(document, dict) and "items" in document:
            document["items"] = []
            document["metadata"].pop("continue", None)
        return document


class _WithoutErrors:
    """The stream of a watch. Anything but a change becomes the error after which kopf lists again."""

    def __init__(self, content: aiohttp.StreamReader, *, is_expired: bool) -> None:
        self._content = content
        self._is_expired = is_expired

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        if self._is_expired:
            yield _EXPIRED_EVENT
            return
        line = b""
        async for piece in self._content.iter_chunked(size):
            *lines, line = (line + piece).split(b"\n")
            for each in filter(None, lines):
                if not _is_change(each):
                    yield _EXPIRED_EVENT
                    return
                yield each + b"\n"


def _is_change(line: bytes) -> bool:
    try:
        event = json.loads(line)
        return event["type"] in _CHANGES and isinstance(event["object"]["metadata"], dict)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
