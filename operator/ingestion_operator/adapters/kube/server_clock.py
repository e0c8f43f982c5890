"""The time of the API server, with which timestamps of Kubernetes objects must be compared."""

import logging
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from ingestion_operator.ports import Clock

_logger = logging.getLogger(__name__)

_TOLERANCE: Final = timedelta(seconds=5)
"""Smaller differences are ignored: they do no harm, and API servers behind one address differ by as much."""

_RESOLUTION: Final = timedelta(seconds=1)
"""Resolution of the header Date."""


class ServerClock:
    """Implements the port Clock: the time of this machine, corrected by the difference that responses show."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._correction = timedelta()

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return self._machine.now() + self._correction

    def machine_now(self) -> datetime:
        """Return the time of this machine, for `learn`."""
        return self._machine.now()

    def learn(self, date: str | None, sent_at: datetime) -> None:
        """Take the header Date of the response to a request that was sent at `sent_at` of this machine."""
        stamped = _read(date)
        if stamped is None:
            return
        # The response was generated at some time between these two.
        least, most = stamped - self._machine.now(), stamped + _RESOLUTION - sent_at
        if least - _TOLERANCE <= self._correction <= most + _TOLERANCE:
            return
        found = (least + most) / 2
        self._correction = found if abs(found) > _TOLERANCE else timedelta()
        _logger.warning(
            "The clock of this machine differs from the API server's by %.0f s: the API server's time is used",
            -found.total_seconds(),
        )


def _read(date: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
