"""Pods' logs in memory."""

from collections.abc import Iterator
from datetime import datetime

from ingestion_operator.errors import NotFound
from testing.kubelet_log import KubeletLog


class FakeLogs:
    """Implements the port PodLogs: `logs.texts["pod"] = b"..."`, or `logs.kept["pod"]`, with a time for each line."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.kept: dict[str, KubeletLog] = {}
        self.piece_bytes = 1000
        self.unreadable: Exception | None = None

    def read(
        self, namespace: str, pod: str, *, since: datetime | None = None, timestamps: bool = False
    ) -> Iterator[bytes]:
        if self.unreadable is not None:
            raise self.unreadable
        if pod not in self.texts and pod not in self.kept:
            raise NotFound(f"pod {namespace}/{pod} is not there", code=404)
        text = self.kept[pod].serve(since) if timestamps else self.texts[pod]
        yield from (text[start : start + self.piece_bytes] for start in range(0, len(text), self.piece_bytes))

    def tail(self, namespace: str, pod: str, lines: int) -> Iterator[bytes]:
        text = b"".join(self.read(namespace, pod))
        yield b"".join(text.splitlines(keepends=True)[-lines:])
