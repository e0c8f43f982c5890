"""Waiting for the Lease, and holding it."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable

from ingestion_operator.errors import ClusterError
from ingestion_operator.leadership import RENEW_SECONDS, RETRY_SECONDS, Leadership, LeadershipLost

_logger = logging.getLogger(__name__)


async def stand_by(leadership: Leadership, beat_now: Callable[[], None]) -> None:
    """Return when this replica holds the Lease."""
    said = ""
    while True:
        beat_now()
        try:
            if await asyncio.to_thread(leadership.attempt):
                _logger.info("This replica acts: it holds the Lease")
                return
            news = "Another replica acts: standing by"
        except ClusterError as error:
            news = f"The Lease cannot be read or written: {error}"
        if news != said:
            _logger.info("%s", news)
            said = news
        await asyncio.sleep(RETRY_SECONDS)


async def hold(leadership: Leadership, beat_now: Callable[[], None], end: Callable[[], None]) -> None:
    """Renew the Lease until cancelled; call `end` if another replica has taken it."""
    pause = RENEW_SECONDS
    while True:
        beat_now()
        await asyncio.sleep(pause)
        try:
            await asyncio.to_thread(leadership.renew)
            pause = RENEW_SECONDS
        except LeadershipLost as error:
            _logger.error("%s: this replica ends at once", error)  # noqa: TRY400  the message says it all
            end()
            return
        except ClusterError as error:
            _logger.warning("The Lease was not renewed: %s", error)
            pause = RETRY_SECONDS


def end_at_once() -> None:
    """End the process without waiting for anything."""
    # Threads that write are not waited for: the fence holds them off, and the next replica is at work.
    os._exit(1)


def identity() -> str:
    """Return a name that no two processes have at a time. Containers of one pod run one after the other."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
