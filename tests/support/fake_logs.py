"""Pods' logs in memory."""

from collections.abc import Iterator

from ingestion_operator.errors import NotFound


class FakeLogs:
    """Implements the port PodLogs: `logs.texts["pod"] = b"..."`."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.piece_bytes = 1000
        self.unreadable: Exception | None = None

    def read(self, namespace: str, pod: str) -> Iterator[bytes]:
        if self.unreadable is not None:
            raise self.unreadable
        if pod not in self.texts:
            raise NotFound(f"pod {namespace}/{pod} is not there", code=404)
        text = self.texts[pod]
        yield from (text[start : start + self.piece_bytes] for start in range(0, len(text), self.piece_bytes))

    def tail(self, namespace: str, pod: str, lines: int) -> str:
        return "\n".join(b"".join(self.read(namespace, pod)).decode().splitlines()[-lines:])
