"""Which versions the servers have: requested in the background, so that no pipeline ever waits for an answer.

An answer holds for ten minutes, and so does the absence of one: a server is asked at most that often.
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
"""At the same time, over all servers; while there are so many, a pipeline asks at its next reconciliation."""

_logger = logging.getLogger(__name__)


@dataclass
class _Known:
    version: str | None = None
    asked_at: float | None = None
    is_asked: bool = False
    callers: set[Caller] = field(default_factory=set)
    """The pipelines that got the answer from before the request in progress."""


class ServerVersions:
    """The last known versions. May be shared by threads."""

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

    def of(self, server: ServerAccess, caller: Caller) -> str | None:
        """Return the version last known, None while there is none.

        Starts a request when the last one is too old; `due` names the caller if its answer is another one.
        """
        with self._lock:
            known = self._servers.setdefault(server, _Known())
            now = self._monotonic()
            is_old = known.asked_at is None or now - known.asked_at >= VALID_SECONDS
            is_free = sum(each.is_asked for each in self._servers.values()) < MAX_REQUESTS
            begins = is_old and is_free and not known.is_asked
            if begins:
                known.is_asked, known.asked_at = True, now
            if known.is_asked:
                known.callers.add(caller)
            version = known.version
        if begins:
            self._start(lambda: self._ask(server))
        return version

    def due(self) -> list[Caller]:
        """Return the pipelines whose server has another version than they got from `of`; each is named once."""
        with self._lock:
            due, self._due = self._due, []
        return due

    def _ask(self, server: ServerAccess) -> None:
        version = None
        try:
            version = self._request(server)
        except ClusterError as error:
            _logger.debug("The version of %s is not known: %s", server.host_port, error)
        finally:
            with self._lock:
                known = self._servers[server]
                known.is_asked = False
                if version is not None and version != known.version:
                    known.version = version
                    self._due += sorted(known.callers)
                known.callers = set()


def _in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="server version", daemon=True).start()
