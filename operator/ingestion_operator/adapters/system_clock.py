"""The time of this machine."""

from datetime import UTC, datetime


class SystemClock:
    """Implements the port Clock."""

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return datetime.now(UTC)
