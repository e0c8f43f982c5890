"""An API server in memory over real HTTP: lists in pages, watches, and every way in which they may fail."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind

Body = dict[str, Any]
_KINDS = {kind.plural: kind for kind in (PIPELINES, CRONJOBS, JOBS, PODS)}
_CUT = object()
_END = object()


@dataclass
class Fault:
    """Answers to requests that match, instead of the right ones."""

    status: int
    plural: str = ""
    """"" matches every kind."""
    namespace: str | None = None
    verb: str = ""
    """`list` (without continue), `continue` or `watch`; "" matches all."""
    times: int = 1_000_000
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class _Watch:
    kind: Kind
    namespace: str
    selector: str
    pieces: asyncio.Queue[Any]
    is_mute: bool = False


class FakeApiServer:
    """Objects of the four kinds that the cache reads. Belongs to one event loop."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0
        """Watches and continued lists from before this version get 410."""
        self.token = ""
        """What must be shown; empty: anything."""
        self.faults: list[Fault] = []
        self.byte_pause = 0.0
        """Seconds between the bytes of a list."""
        self.requests: list[tuple[str, str, float]] = []
        """Verb, path and when, of each request."""
        self.queries: list[dict[str, str]] = []
        self.url = ""
        self._objects: defaultdict[Kind, dict[tuple[str, str], Body]] = defaultdict(dict)
        self._log: list[tuple[int, Kind, str, Body]] = []
        self._pages: dict[str, tuple[int, list[Body]]] = {}
        self._watches: list[_Watch] = []

    # What happens in the cluster

    def put(self, kind: Kind, body: Body) -> Body:
        """Create or replace an object; return it as the API server would."""
        self.version += 1
        stored = deepcopy(body)
        key = stored["metadata"]["namespace"], stored["metadata"]["name"]
        old = self._objects[kind].get(key)
        defaults = {"uid": f"uid-{self.version}", "creationTimestamp": "2026-03-01T12:00:00Z"}
        kept = {key: old["metadata"][key] for key in defaults} if old else {}
        stored["metadata"] = defaults | stored["metadata"] | kept | {"resourceVersion": str(self.version)}
        self._objects[kind][key] = stored
        self._record(kind, "MODIFIED" if old else "ADDED", stored)
        return deepcopy(stored)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object."""
        self.version += 1
        body = self._objects[kind].pop((namespace, name))
        last = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        self._record(kind, "DELETED", last)

    def objects(self, kind: Kind) -> list[Body]:
        """What there is."""
        return list(self._objects[kind].values())

    def compact(self) -> None:
        """Forget all that was, as etcd does every five minutes."""
        self.oldest = self.version

    # What happens to watches that are open

    def watches(self, kind: Kind | None = None) -> int:
        """How many watches are open and follow what happens."""
        return sum(not watch.is_mute for watch in self._open(kind))

    def asked(self, verb: str) -> int:
        """How many requests of a verb (`list`, `continue`, `watch`) have come."""
        return sum(one == verb for one, _, _ in self.requests)

    def bookmark(self, kind: Kind | None = None) -> None:
        """Send a bookmark."""
        for watch in self._open(kind):
            metadata = {"resourceVersion": str(self.version), "creationTimestamp": None}
            watch.pieces.put_nowait(_line("BOOKMARK", {"kind": watch.kind.kind, "metadata": metadata}))

    def mute_watches(self) -> None:
        """Let open watches show no more of what happens."""
        for watch in self._watches:
            watch.is_mute = True

    def send(self, piece: bytes, kind: Kind | None = None) -> None:
        """Send any bytes."""
        for watch in self._open(kind):
            watch.pieces.put_nowait(piece)

    def send_error(self, code: int, message: str, kind: Kind | None = None) -> None:
        """Send an ERROR event; the watch stays open."""
        status = {"kind": "Status", "status": "Failure", "code": code, "message": message}
        self.send(_line("ERROR", status), kind)

    def end_watches(self, kind: Kind | None = None) -> None:
        """End watches as at their timeout."""
        for watch in self._open(kind):
            watch.is_mute = True
            watch.pieces.put_nowait(_END)

    def cut_watches(self, kind: Kind | None = None, *, after: bytes = b"") -> None:
        """Cut the connections of watches, maybe in the middle of a line."""
        for watch in self._open(kind):
            watch.is_mute = True
            watch.pieces.put_nowait(after)
            watch.pieces.put_nowait(_CUT)

    # Serving

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port until the block ends; yield the URL."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self.url
        finally:
            self.end_watches()
            await runner.cleanup()

    def write_kubeconfig(self, path: Path, *, token: str = "any") -> str:  # noqa: S107  shown to this server alone
        """Write a kubeconfig for this server; return its path."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        path.write_text(yaml.safe_dump(document))
        return str(path)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        kind = _KINDS.get(parts[-1])
        if kind is None:
            found = _discovery(request.path)
            return web.json_response(found) if found else _failure(404, "the server could not find that resource")
        namespace = parts[-2] if "namespaces" in parts else ""
        query = dict(request.query)
        verb = "watch" if query.get("watch") == "true" else "continue" if "continue" in query else "list"
        self.requests.append((verb, request.path, time.monotonic()))
        self.queries.append(query)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _failure(401, "Unauthorized")
        if fault := self._fault(kind, namespace, verb):
            if fault.body is not None:
                return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
            return _failure(fault.status, f"{kind.plural} is refused", fault.headers)
        if verb == "watch":
            return await self._watch(request, _Watch(kind, namespace, query.get("labelSelector", ""), asyncio.Queue()))
        return await self._list(request, kind, namespace, query)

    def _fault(self, kind: Kind, namespace: str, verb: str) -> Fault | None:
        for fault in self.faults:
            is_meant = fault.plural in ("", kind.plural) and fault.namespace in (None, namespace)
            if is_meant and fault.verb in ("", verb) and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    async def _list(
        self, request: web.Request, kind: Kind, namespace: str, query: dict[str, str]
    ) -> web.StreamResponse:
        token = query.get("continue")
        if token is None:
            version = self.version
            selected = _matches(namespace, query.get("labelSelector", ""))
            left = [_as_listed(kind, body) for body in self._objects[kind].values() if selected(body)]
        elif token not in self._pages or self._pages[token][0] < self.oldest:
            return _failure(410, "The provided continue parameter is too old")
        else:
            version, left = self._pages.pop(token)
        limit = int(query.get("limit", 0)) or len(left)
        metadata = {"resourceVersion": str(version)}
        if left[limit:]:
            metadata["continue"] = f"page-{len(self._pages)}-{version}-{len(left)}"
            self._pages[metadata["continue"]] = version, left[limit:]
        text = json.dumps({"kind": f"{kind.kind}List", "metadata": metadata, "items": left[:limit] or None})
        if not self.byte_pause:
            return web.Response(text=text, content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        for begin in range(0, len(text), 50):
            await response.write(text[begin : begin + 50].encode())
            await asyncio.sleep(self.byte_pause)
        return response

    async def _watch(self, request: web.Request, watch: _Watch) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        if since < self.oldest:
            await response.write(_line("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"}))
            return response
        matches = _matches(watch.namespace, watch.selector)
        for version, kind, change, body in self._log:
            if version > since and kind == watch.kind and matches(body):
                watch.pieces.put_nowait(_line(change, body))
        self._watches.append(watch)
        try:
            while (piece := await watch.pieces.get()) is not _END:
                if piece is _CUT:
                    assert request.transport is not None
                    request.transport.close()
                    break
                await response.write(piece)
        except ConnectionError:
            pass  # the client has gone
        finally:
            self._watches.remove(watch)
        return response

    def _record(self, kind: Kind, change: str, body: Body) -> None:
        body = {"apiVersion": kind.api_version, "kind": kind.kind} | body
        self._log.append((self.version, kind, change, body))
        for watch in self._open(kind):
            if not watch.is_mute and _matches(watch.namespace, watch.selector)(body):
                watch.pieces.put_nowait(_line(change, body))

    def _open(self, kind: Kind | None) -> list[_Watch]:
        return [watch for watch in self._watches if kind in (None, watch.kind)]


def _discovery(path: str) -> Body | None:
    """What kopf asks once, at its start: the groups, and the resources of each."""
    if path == "/version":
        return {"major": "1", "minor": "37"}
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        versions = [kind.api_version.split("/") for kind in (PIPELINES, CRONJOBS)]
        named = [(group, {"groupVersion": f"{group}/{version}", "version": version}) for group, version in versions]
        return {"groups": [{"name": group, "versions": [one], "preferredVersion": one} for group, one in named]}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    names = [(kind.plural, kind.kind) for kind in _KINDS.values() if kind.api_version == version]
    if version == "v1":
        names.append(("namespaces", "Namespace"))
    resources = [
        {
            "name": plural,
            "kind": kind,
            "singularName": kind.lower(),
            "namespaced": plural != "namespaces",
            "verbs": ["get", "list", "watch", "patch"],
        }
        for plural, kind in names
    ]
    return {"resources": resources} if resources else None


def _matches(namespace: str, label: str) -> Callable[[Body], bool]:
    def matches(body: Body) -> bool:
        metadata = body["metadata"]
        return namespace in ("", metadata["namespace"]) and (not label or label in metadata.get("labels", {}))

    return matches


def _as_listed(kind: Kind, body: Body) -> Body:
    """Items of Kubernetes' own kinds have no kind."""
    return {"apiVersion": kind.api_version, "kind": kind.kind} | body if kind == PIPELINES else dict(body)


def _line(change: str, body: Body) -> bytes:
    return json.dumps({"type": change, "object": body}).encode() + b"\n"


def _failure(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": status, "message": message}
    return web.json_response(body, status=status, headers=headers)
