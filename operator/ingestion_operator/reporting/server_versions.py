"""Which versions the servers say they have: looked up in the background, so that no pipeline ever waits for it.

An answer holds for ten minutes, and so does the absence of one: a server is asked at most that often, and what it did
not tell is no statement about it.
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

LOOK_SECONDS: Final = 600.0
MOST_LOOKS: Final = 4
"""At the same time, over all servers; a pipeline that comes while all are taken asks again when it is looked at."""

_logger = logging.getLogger(__name__)


@dataclass
class _Known:
    version: str | None = None
    looked_at: float | None = None
    is_looking: bool = False
    askers: set[Caller] = field(default_factory=set)
    """Who was answered with what was known before the present look."""


class ServerVersions:
    """The last known versions. May be shared by threads."""

    def __init__(
        self,
        look: Callable[[ServerAccess], str | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._start = start or _in_a_thread
        self._lock = Lock()
        self._servers: dict[ServerAccess, _Known] = {}
        self._due: list[Caller] = []

    def of(self, server: ServerAccess, caller: Caller) -> str | None:
        """Return the version last told, None while there is none.

        Starts a look when the last one is too old; `due` names the caller if that brings something else.
        """
        with self._lock:
            known = self._servers.setdefault(server, _Known())
            now = self._monotonic()
            is_old = known.looked_at is None or now - known.looked_at >= LOOK_SECONDS
            is_free = sum(each.is_looking for each in self._servers.values()) < MOST_LOOKS
            begins = is_old and is_free and not known.is_looking
            if begins:
                known.is_looking, known.looked_at = True, now
            if known.is_looking:
                known.askers.add(caller)
            version = known.version
        if begins:
            self._start(lambda: self._ask(server))
        return version

    def due(self) -> list[Caller]:
        """Return the pipelines whose server's version is another than they were told; each is named once."""
        with self._lock:
            due, self._due = self._due, []
        return due

    def _ask(self, server: ServerAccess) -> None:
        version = None
        try:
            version = self._look(server)
        except ClusterError as error:
            _logger.debug("The version of %s is not known: %s", server.host_port, error)
        finally:
            with self._lock:
                known = self._servers[server]
                known.is_looking = False
                if version is not None and version != known.version:
                    known.version = version
                    self._due += sorted(known.askers)
                known.askers = set()


def _in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="server version", daemon=True).start()
