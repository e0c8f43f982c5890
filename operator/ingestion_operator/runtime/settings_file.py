"""The settings file, which is read again when it changes."""

import logging
from pathlib import Path
from typing import Final

from ingestion_operator.api.settings import Settings, load_settings
from ingestion_operator.errors import Rejected
from ingestion_operator.runtime.reloading import Reloading

_logger = logging.getLogger(__name__)

_CHECK_SECONDS: Final = 1.0
"""How long settings are used without a check of the file. Each reconciliation and request uses them many times."""


class SettingsFile:
    """Keeps the last valid settings: an invalid file changes nothing and is logged once."""

    def __init__(self, path: Path, initial: Settings, *, check_seconds: float = _CHECK_SECONDS) -> None:
        self._settings = Reloading(
            lambda: [path],
            lambda: load_settings(path),
            on_reload=lambda _: _logger.info("Settings reread from %s", path),
            on_error=lambda error: _logger.error("Settings unchanged: %s", error),
            errors=Rejected,
            check_seconds=check_seconds,
            initial=initial,
        )

    def current(self) -> Settings:
        """Return the settings in force; a change of the file takes effect within a second."""
        return self._settings.current()
