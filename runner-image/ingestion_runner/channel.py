"""The pipe from the child to the parent: one JSON object per line.

The child's output is the public log, so it cannot carry messages to the parent. The child sends the secrets that it has
read before it prints anything that may contain them, and at its end the outcome.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ingestion_runner.masking import Masker
from ingestion_runner.outcomes import Outcome

CHANNEL_VARIABLE = "INGESTION_RUNNER_CHANNEL"
"""Environment variable with the number of the pipe's file descriptor, for the child."""

_MAX_PENDING_BYTES = 8 * 1024 * 1024


class ChannelWriter:
    """The end of the pipe in the child."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls) -> "ChannelWriter":
        """Return the end that the parent passed; the variable is removed, so that child processes do not inherit it."""
        return cls(int(os.environ.pop(CHANNEL_VARIABLE)))

    def send_secrets(self, secrets: Iterable[str]) -> None:
        """Send values that must not appear in the log."""
        self._send({"secrets": sorted(set(secrets))})

    def send_automation(self, document: Mapping[str, Any]) -> None:
        """Send the received automation, which the parent must close on the server."""
        self._send({"automation": document})

    def send_outcome(self, outcome: Outcome) -> None:
        """Send the outcome of the run."""
        self._send({"outcome": outcome.to_json()})

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


class ChannelReader:
    """The end of the pipe in the parent.

    It adds secrets to ``masker``, keeps the masked outcome, and calls ``on_automation`` with a received automation.
    """

    def __init__(self, masker: Masker, on_automation: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.outcome: Outcome | None = None
        self._masker = masker
        self._on_automation = on_automation
        self._pending = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes from the child. Invalid messages are ignored."""
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        if len(self._pending) > _MAX_PENDING_BYTES:
            self._pending = b""
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError):
                continue

    def _take(self, message: Mapping[str, Any]) -> None:
        if "secrets" in message:
            self._masker.add(message["secrets"])
        if "automation" in message:
            self._on_automation(message["automation"])
        if "outcome" in message:
            self.outcome = Outcome.from_json(message["outcome"]).masked(self._masker)
