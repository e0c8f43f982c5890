"""The fake server itself: state, routes, recording, faults and authentication, without HTTP."""

import time
from collections.abc import Callable
from threading import RLock
from typing import Any

from . import attachments, data_quality, lineage, search
from .calls import CallLog
from .catalog import Catalog
from .control import Control
from .definitions import definition
from .entities import Entities
from .faults import Faults
from .kinds import INGESTION_PIPELINES, find
from .runs import Runs
from .schemas import check
from .wire import ApiError, InvalidBodyError, Reply, Request, error_reply

UI_PAGE = "<!doctype html><html><head><title>OpenMetadata</title></head><body></body></html>"


class State:
    """Everything the fake OpenMetadata server remembers, except its configuration."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.runs = Runs()
        self.lineage = lineage.Lineage()
        self.faults = Faults()
        self.entities = Entities(self.catalog, self.faults)


class Double:
    """Thread-safe; requests are served one at a time, delays excepted."""

    def __init__(self, *, token: str, version: str) -> None:
        self._token = token
        self._first_version = version
        self._lock = RLock()
        self._calls = CallLog()
        self.version = version
        self.state = State()
        self._control = Control(self, self._calls)

    def reset(self) -> None:
        """Forget everything but the token."""
        self.state = State()
        self.version = self._first_version
        self._calls.clear()

    def handle(self, request: Request) -> Reply | None:
        """The answer; None means that the connection is to be cut."""
        if request.segments[:1] == ("_fake",):
            with self._lock:
                return self._guarded(self._control.handle, request)[0]
        arrived = time.time()
        with self._lock:
            fault = self.state.faults.for_request(request)
        if fault is not None and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        with self._lock:
            reply: Reply | None
            invalid, unknown = None, False
            if fault is None or fault.status is None:
                reply, invalid, unknown = self._guarded(self._serve, request)
            else:
                reply = error_reply(fault.status, fault.message) if fault.status else None
            self._calls.add(
                request,
                at=arrived,
                seconds=round(time.time() - arrived, 4),
                status=reply.status if reply else 0,
                invalid=invalid,
                unknown=unknown,
            )
        return reply

    @staticmethod
    def _guarded(serve: Callable[[Request], Reply | None], request: Request) -> tuple[Reply, str | None, bool]:
        """The reply, why the body was invalid, and whether the fake OpenMetadata server does not know the path."""
        try:
            reply = serve(request)
        except InvalidBodyError as error:
            return error_reply(error.status, error.message), error.message, False
        except ApiError as error:
            return error_reply(error.status, error.message), None, False
        if reply is None:
            return error_reply(404, "HTTP 404 Not Found"), None, True
        return reply, None, False

    def _serve(self, request: Request) -> Reply | None:
        if request.segments[:1] != ("api",):
            return Reply(200, UI_PAGE, "text/html")  # so does the real one, for any path
        path = request.segments[2:]
        if path == ("system", "version"):
            return Reply(200, {"version": self.version, "revision": "fake-openmetadata", "timestamp": 0})
        self._authenticate(request)
        if request.segments[1:2] != ("v1",):
            return None
        return self._serve_special(path, request) or self.serve_entity(path, request)

    def _authenticate(self, request: Request) -> None:
        if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
            raise ApiError(401, "Invalid token")

    def _serve_special(self, path: tuple[str, ...], request: Request) -> Reply | None:
        match request.method, path:
            case "GET", ("services", "testConnectionDefinitions", "name", name):
                found: dict[str, Any] = definition(name, self.version)
                check("entity.services.connections.testConnectionDefinition:TestConnectionDefinition", found)
                return Reply(200, found)
            case "GET", ("users", "loggedInUser"):
                return Reply(
                    200,
                    {
                        "id": "00000000-0000-0000-0000-000000000001",
                        "name": "ingestion-bot",
                        "email": "ingestion-bot@open-metadata.org",
                        "isBot": True,
                    },
                )
            case _, ("services", "ingestionPipelines", *rest):
                return self._serve_run(tuple(rest), request)
            case "GET", ("search", *rest):
                return search.handle(self.state.catalog, tuple(rest), request)
            case _, ("lineage", *rest):
                return self.state.lineage.handle(self.state.catalog, tuple(rest), request)
        return None

    def _serve_run(self, rest: tuple[str, ...], request: Request) -> Reply | None:
        if len(rest) < 2 or rest[0] == "name":
            return None
        fqn = rest[1] if rest[0] in ("progress", "logs", "metrics") else rest[0]
        if self.state.catalog.find(INGESTION_PIPELINES, fqn) is None:
            raise ApiError(404, f"ingestionPipeline instance for {fqn} not found")
        return self.state.runs.handle(rest, request)

    def serve_entity(self, path: tuple[str, ...], request: Request) -> Reply | None:
        """The answer of a collection of entities; None for an unknown operation."""
        catalog, found = self.state.catalog, find(path)
        return (
            attachments.handle(catalog, path, request)
            or data_quality.handle(catalog, path, request)
            or (self.state.entities.handle(*found, request) if found is not None else None)
        )
