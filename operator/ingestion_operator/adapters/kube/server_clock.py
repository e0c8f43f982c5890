"""The time of the API server: what Kubernetes stamps can be compared with no other."""

import logging
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from ingestion_operator.ports import Clock

_logger = logging.getLogger(__name__)

_TOLERANCE: Final = timedelta(seconds=5)
"""How far this machine's clock may be off: less does no harm, and servers that share an address differ by as much."""

_RESOLUTION: Final = timedelta(seconds=1)
"""Of the header Date."""


class ServerClock:
    """Implements the port Clock: this machine's time, corrected by as much as answers show it to be off."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._correction = timedelta()

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return self._machine.now() + self._correction

    def machine_now(self) -> datetime:
        """Return the moment as this machine has it, for `learn`."""
        return self._machine.now()

    def learn(self, date: str | None, asked: datetime) -> None:
        """Take the header Date of an answer to what was asked at that moment of this machine."""
        stamped = _read(date)
        if stamped is None:
            return
        # The answer was stamped at some moment between the two.
        least, most = stamped - self._machine.now(), stamped + _RESOLUTION - asked
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
