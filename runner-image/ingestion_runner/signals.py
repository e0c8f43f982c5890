"""Signals turned into something a selector can wait for."""

import contextlib
import os
import signal
import time
from types import FrameType


class SignalInbox:
    """Notes SIGTERM and SIGINT, and wakes a selector for them and for SIGCHLD.

    Creating it installs the handlers for the whole process: without them a process that is PID 1 of its
    container ignores SIGTERM altogether.
    """

    def __init__(self) -> None:
        self.stop_requested_at: float | None = None
        """When the pod was first asked to stop, on the monotonic clock."""
        self._read_end, write_end = os.pipe()
        for end in (self._read_end, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def fileno(self) -> int:
        """Readable after a signal, until :meth:`drain`."""
        return self._read_end

    def drain(self) -> None:
        """Take the wake-ups; handlers have run by then."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read_end, 512):
                pass

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.stop_requested_at is None:
            self.stop_requested_at = time.monotonic()
