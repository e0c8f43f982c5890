"""A TCP relay that counts: the bytes on the wire between a program and its API server."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Final, Self

_PIECE: Final = 256 * 1024


class Relay:
    """Listens on 127.0.0.1 and passes everything on to one address until the block ends."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="relay", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.sent = 0
        """Bytes from the program to the server."""
        self.received = 0
        """Bytes from the server to the program."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop, self._ended = self._listening.result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=10)

    async def _serve(self) -> None:
        ended = asyncio.Event()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.get_running_loop().create_task(self._connected(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass_on(reader, back, "sent"), self._pass_on(there, writer, "received"))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: str) -> None:
        try:
            while piece := await reader.read(_PIECE):
                setattr(self, counter, getattr(self, counter) + len(piece))
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # one side is gone: so is the other in a moment
        finally:
            writer.close()
