"""A gateway in this process: real ports, real HTTP, in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingestion_operator.gateway.server import Gateway, listen, serve
from testing.waiting import wait_for


@dataclass
class Running:
    """A gateway that serves."""

    port: int
    management_port: int
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread

    def begin_end(self) -> None:
        """Do what SIGTERM does."""
        self.loop.call_soon_threadsafe(self.stop.set)


@contextmanager
def run_gateway(gateway: Gateway) -> Iterator[Running]:
    """Serve on free ports until the block ends."""
    public, management = listen(0), listen(0)
    ports = public.getsockname()[1], management.getsockname()[1]
    ready = threading.Event()
    found: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        found.append((asyncio.get_running_loop(), stop))
        ready.set()
        await serve(gateway, public, management, stop)

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="gateway under test")
    thread.start()
    assert ready.wait(10)
    running = Running(*ports, *found[0], thread)
    try:
        yield running
    finally:
        if thread.is_alive():
            running.begin_end()
        thread.join(60)
        wait_for("the gateway to end", lambda: not thread.is_alive(), timeout=1)


def write_credentials(folder: Path, **pairs: tuple[str, str]) -> Path:
    """Write pairs as a Secret's files; `plain` is the pair without a prefix."""
    folder.mkdir(exist_ok=True)
    for name, (username, password) in pairs.items():
        prefix = "" if name == "plain" else f"{name}."
        (folder / f"{prefix}username").write_text(username)
        (folder / f"{prefix}password").write_text(password)
    return folder
