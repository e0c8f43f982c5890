"""Timestamps in Kubernetes' format: RFC 3339 with whole seconds; pure functions."""

from datetime import UTC, datetime
from typing import Any, Final

_FIRST_YEAR: Final = 1000


def parse_timestamp(text: str | None) -> datetime | None:
    """Return the moment of a timestamp of Kubernetes, or None without one. Raises ValueError for other texts."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def read_time(text: Any) -> datetime | None:
    """Return a timestamp as a time in UTC; None if it is absent or invalid.

    A year before 1000 is invalid: the API server rejects it in a status.
    """
    try:
        moment = parse_timestamp(text) if isinstance(text, str) else None
        moment = moment.astimezone(UTC) if moment is not None else None
    except (ValueError, OverflowError):
        return None
    return moment if moment is not None and moment.year >= _FIRST_YEAR else None


def format_timestamp(moment: datetime) -> str:
    """Return a moment in Kubernetes' format, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
