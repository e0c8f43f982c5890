"""The settings file, reread when it changes."""

import logging
import threading
import time
from pathlib import Path
from typing import Final

from ingestion_operator.api.settings import Settings, load_settings
from ingestion_operator.errors import Rejected

_logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""How long settings are used without a check of the file: many times in each reconciliation and in each request."""


class SettingsFile:
    """Keeps the last good settings: a broken file changes nothing and is named in the log once."""

    def __init__(self, path: Path, initial: Settings, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._looks_again = time.monotonic()
        self._path = path
        self._settings = initial
        self._seen = self._stamp()
        self._lock = threading.Lock()

    def current(self) -> Settings:
        """Return the settings in force: those of the file, or of a second ago."""
        if time.monotonic() < self._looks_again:
            return self._settings
        with self._lock:
            self._looks_again = time.monotonic() + self._look_seconds
            if (stamp := self._stamp()) != self._seen:
                self._seen = stamp
                try:
                    self._settings = load_settings(self._path)
                    _logger.info("Settings reread from %s", self._path)
                except Rejected as error:
                    _logger.error("Settings unchanged: %s", error)  # noqa: TRY400  the message says it all
            return self._settings

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino
