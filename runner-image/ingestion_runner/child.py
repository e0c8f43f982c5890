"""The child process: started in its own session, watched until its end, and stopped by SIGTERM and then SIGKILL."""

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ingestion_runner.channel import CHANNEL_VARIABLE
from ingestion_runner.signals import SignalInbox

WORKFLOW_COMMAND = (sys.executable, "-m", "ingestion_runner.workflow")
"""The child in a pod. ``sys.executable`` is the interpreter with openmetadata-ingestion."""

_CHUNK_BYTES = 64 * 1024
_ALL = sys.maxsize
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How the child ended: either ``exit_code`` or ``killed_by`` is set; ``stopped`` after a request of the parent."""

    exit_code: int | None
    killed_by: int | None
    stopped: bool


class Child:
    """A process in its own session, so that it and its child processes can be signalled as one group.

    ``on_channel`` gets the data of the channel, ``on_output`` the output. Standard error is redirected to standard
    output, which keeps the order of the lines.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        on_channel: Callable[[bytes], None],
        on_output: Callable[[bytes], None],
    ) -> None:
        output, output_end = os.pipe()
        channel, channel_end = os.pipe()
        os.set_inheritable(channel_end, True)
        self._channel, self._on_channel = channel, on_channel
        self._output, self._on_output = output, on_output
        self._pid = os.posix_spawn(
            command[0],
            list(command),
            {**environ, CHANNEL_VARIABLE: str(channel_end), "PYTHONUNBUFFERED": "1"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output_end, 1),
                (os.POSIX_SPAWN_DUP2, output_end, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE],
        )
        os.close(output_end)
        os.close(channel_end)
        self._wait_status: int | None = None

    def wait(self, inbox: SignalInbox, force_kill_after: float) -> ChildEnd:
        """Read the child's output until it has ended and all output is read.

        A stop request becomes SIGTERM for its process group, and SIGKILL ``force_kill_after`` seconds later. Remaining
        processes of the group are killed. Orphans that PID 1 inherits are reaped.
        """
        stopped = forced = False
        with selectors.DefaultSelector() as selector:
            selector.register(inbox, selectors.EVENT_READ)
            for descriptor in (self._channel, self._output):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            while not self._reap():
                timeout = None
                if inbox.stop_requested_at is not None and not forced:
                    if not stopped:
                        stopped = True
                        self._signal_group(signal.SIGTERM)
                    timeout = inbox.stop_requested_at + force_kill_after - time.monotonic()
                    if timeout <= 0:
                        forced = True
                        self._signal_group(signal.SIGKILL)
                        continue
                selector.select(timeout)
                inbox.drain()
                self._take(selector)
            self._signal_group(signal.SIGKILL)
            selector.unregister(inbox)
            self._take_the_rest(selector)
        return self._end(stopped=stopped)

    def _take(self, selector: selectors.BaseSelector) -> None:
        # The output is read before the channel and processed after it: secrets that the child sent before it printed
        # these lines are known when the lines are masked.
        output = _read(self._output, _CHUNK_BYTES)
        channel = _read(self._channel, _ALL)
        if channel:
            self._on_channel(channel)
        if output:
            self._on_output(output)
        for descriptor, data in ((self._output, output), (self._channel, channel)):
            if data == b"" and descriptor in selector.get_map():
                selector.unregister(descriptor)

    def _take_the_rest(self, selector: selectors.BaseSelector) -> None:
        # The child and its process group have ended. A process that left the group may still hold the pipes open.
        deadline = time.monotonic() + _DRAIN_SECONDS
        self._take(selector)
        while selector.get_map() and selector.select(max(deadline - time.monotonic(), 0)):
            self._take(selector)
        os.close(self._output)
        os.close(self._channel)

    def _reap(self) -> bool:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._pid:
                self._wait_status = status
        return self._wait_status is not None

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)

    def _end(self, *, stopped: bool) -> ChildEnd:
        code = os.waitstatus_to_exitcode(self._wait_status or 0)
        if code < 0:
            return ChildEnd(exit_code=None, killed_by=-code, stopped=stopped)
        return ChildEnd(exit_code=code, killed_by=None, stopped=stopped)


def _read(descriptor: int, at_most: int) -> bytes | None:
    """Return the data that can be read now; None if there is none yet, empty at the end."""
    data = b""
    try:
        while len(data) < at_most:
            chunk = os.read(descriptor, _CHUNK_BYTES)
            if not chunk:
                return data
            data += chunk
    except BlockingIOError:
        return data or None
    return data
