"""Versions of the OpenMetadata servers, requested in the background, so that no pipeline waits for a response.

A response is valid for ten minutes, and so is a failure: each server gets at most one request in that time.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Final

from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import ServerAccess
from ingestion_operator.reporting.circuit_breaker import Caller

VALID_SECONDS: Final = 600.0
MAX_REQUESTS: Final = 4
"""Concurrent requests to all servers. At the limit, a pipeline requests the version at its next reconciliation."""

_logger = logging.getLogger(__name__)


@dataclass
class _Known:
    version: str | None = None
    requested_at: float | None = None
    is_requested: bool = False
    callers: set[Caller] = field(default_factory=set)
    """The pipelines that used the previous version while a request was in progress."""


class ServerVersions:
    """The last known versions. Thread-safe."""

    def __init__(
        self,
        request: Callable[[ServerAccess], str | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._request = request
        self._monotonic = monotonic
        self._start = start or _in_a_thread
        self._lock = Lock()
        self._servers: dict[ServerAccess, _Known] = {}
        self._due: list[Caller] = []

    def get(self, server: ServerAccess, caller: Caller) -> str | None:
        """Return the last known version, or None.

        Starts a request if the last one is too old; `due` returns the caller if the version changes.
        """
        with self._lock:
            known = self._servers.setdefault(server, _Known())
            now = self._monotonic()
            is_old = known.requested_at is None or now - known.requested_at >= VALID_SECONDS
            is_free = sum(each.is_requested for each in self._servers.values()) < MAX_REQUESTS
            starts = is_old and is_free and not known.is_requested
            if starts:
                known.is_requested, known.requested_at = True, now
            if known.is_requested:
                known.callers.add(caller)
            version = known.version
        if starts:
            self._start(lambda: self._request_version(server))
        return version

    def due(self) -> list[Caller]:
        """Return the pipelines whose server has another version than `get` returned; each is returned once."""
        with self._lock:
            due, self._due = self._due, []
        return due

    def _request_version(self, server: ServerAccess) -> None:
        version = None
        try:
            version = self._request(server)
        except ClusterError as error:
            _logger.debug("The version of %s is unknown: %s", server.host_port, error)
        finally:
            with self._lock:
                known = self._servers[server]
                known.is_requested = False
                if version is not None and version != known.version:
                    known.version = version
                    self._due += sorted(known.callers)
                known.callers = set()


def _in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="server version", daemon=True).start()
