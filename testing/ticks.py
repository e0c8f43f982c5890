"""Cron expressions around the present minute, in UTC."""

from datetime import UTC, datetime, timedelta

_MARGIN = timedelta(seconds=5)


def minutes_from_now(minutes: int) -> str:
    """A daily tick `minutes` from the present minute; a future one lies at least 5 s ahead."""
    now = datetime.now(UTC)
    moment = now + timedelta(minutes=minutes) + (_MARGIN if minutes > 0 else timedelta())
    return f"{moment.minute} {moment.hour} * * *"
