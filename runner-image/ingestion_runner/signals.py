"""Signals as events for a selector."""

import contextlib
import os
import signal
import time
from types import FrameType


class SignalInbox:
    """Records SIGTERM and SIGINT, and wakes a selector for them and for SIGCHLD.

    The constructor installs handlers for the whole process: without a handler, PID 1 of a container ignores SIGTERM.
    """

    def __init__(self) -> None:
        self.stop_requested_at: float | None = None
        """Monotonic time of the first stop request."""
        self._read_end, write_end = os.pipe()
        for end in (self._read_end, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._record_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def fileno(self) -> int:
        """Return a file descriptor that is readable after a signal, until :meth:`drain`."""
        return self._read_end

    def drain(self) -> None:
        """Clear the wake-ups, after the handlers have run."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read_end, 512):
                pass

    def _record_stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.stop_requested_at is None:
            self.stop_requested_at = time.monotonic()
