"""The private pipe from the child to the parent: one JSON object per line.

The log is public and can hold anything; what the child has to tell its parent goes this way instead. The
child sends the secrets it has read before it prints anything that could contain them, and at its end the
outcome.
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
    """The child's end."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls) -> "ChannelWriter":
        """The end that the parent has passed on; the variable goes, so that no grandchild sees it."""
        return cls(int(os.environ.pop(CHANNEL_VARIABLE)))

    def send_secrets(self, secrets: Iterable[str]) -> None:
        """Tell values that must not appear in the log."""
        self._send({"secrets": sorted(set(secrets))})

    def send_automation(self, document: Mapping[str, Any]) -> None:
        """Tell the automation that was handed over: the parent has to see to its end."""
        self._send({"automation": document})

    def send_outcome(self, outcome: Outcome) -> None:
        """Tell how the run ended."""
        self._send({"outcome": outcome.to_json()})

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


class ChannelReader:
    """The parent's end: learns secrets into ``masker``, keeps the outcome, masked, and tells ``on_automation`` of an
    automation that was handed over.
    """

    def __init__(self, masker: Masker, on_automation: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.outcome: Outcome | None = None
        self._masker = masker
        self._on_automation = on_automation
        self._pending = b""

    def feed(self, chunk: bytes) -> None:
        """Take what the child has written. What is no message of the child's is dropped."""
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
