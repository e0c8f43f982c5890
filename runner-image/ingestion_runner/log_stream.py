"""The child's output: masked and passed on line by line; the last lines are kept for the report."""

import re
from collections import deque
from typing import BinaryIO

from ingestion_runner.masking import Masker

MAX_LINE_BYTES = 256 * 1024
"""A longer line is cut off, which bounds the memory."""

TAIL_LINES = 60
"""Lines kept for the parent's report."""

TAIL_LINE_CHARACTERS = 1000
"""A line of the tail is cut to this."""

TAIL_CHARACTERS = 16 * 1024
"""The report is stored in a row of the server's database, so the whole tail is bounded too."""

_CUT_MARGIN = 8 * 1024
_CUT_NOTE = " [line cut here]"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class LogStream:
    """Masks complete lines and writes them to ``sink`` immediately.

    A line of more than MAX_LINE_BYTES is cut off. The last characters before the cut are removed too: they may be the
    start of a secret that cannot be recognised without its end.
    """

    def __init__(self, sink: BinaryIO, masker: Masker) -> None:
        self._sink: BinaryIO | None = sink
        self._masker = masker
        self._line = bytearray()
        self._line_was_cut = False
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the child: any number of lines, the last one possibly incomplete."""
        *ends, rest = chunk.split(b"\n")
        masked = []
        for end in ends:
            masked += self._extend(end)
            masked += self._finish_line()
        masked += self._extend(rest)
        self._write(masked)

    def close(self) -> None:
        """Write a last line without a line break."""
        if self._line:
            self._write(self._finish_line())

    def note(self, message: str) -> None:
        """Write a line of the parent, masked. It is not part of the tail."""
        self._write([self._masker(f"[runner] {message}")])

    def tail(self) -> str:
        """Return the last lines, masked and without terminal escapes, of at most TAIL_CHARACTERS."""
        lines: list[str] = []
        room = TAIL_CHARACTERS
        for line in reversed(self._tail):
            room -= len(line) + 1
            if room < 0:
                break
            lines.append(line)
        return "\n".join(reversed(lines))

    def _extend(self, part: bytes) -> list[str]:
        if self._line_was_cut:
            return []
        self._line += part
        if len(self._line) <= MAX_LINE_BYTES:
            return []
        text = self._line[:MAX_LINE_BYTES].decode("utf-8", "replace")
        self._line.clear()
        self._line_was_cut = True
        margin = max(_CUT_MARGIN, self._masker.longest)
        return [self._remember(self._masker(text)[:-margin] + _CUT_NOTE)]

    def _finish_line(self) -> list[str]:
        if self._line_was_cut:
            self._line_was_cut = False
            return []
        text = self._line.decode("utf-8", "replace").rstrip("\r")
        self._line.clear()
        return [self._remember(self._masker(text))]

    def _remember(self, line: str) -> str:
        plain = _ANSI.sub("", line)
        if plain.strip():
            self._tail.append(plain[:TAIL_LINE_CHARACTERS])
        return line

    def _write(self, lines: list[str]) -> None:
        if not lines or self._sink is None:
            return
        try:
            self._sink.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
            self._sink.flush()
        except OSError:
            # The log has no reader any more. The run continues, so keep reading the child's output.
            self._sink = None
