"""A server that answers with the bytes it is given, for answers that no correct server gives."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class RawServer:
    """Listens on 127.0.0.1; each connection gets the same pieces, with a pause between them."""

    def __init__(self, pieces: Sequence[bytes], *, pause: float = 0, tls: ssl.SSLContext | None = None) -> None:
        self._pieces = pieces
        self._pause = pause
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                spoken = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                with spoken:
                    self.requests.append(spoken.recv(65536))
                    for piece in self._pieces:
                        spoken.sendall(piece)
                        time.sleep(self._pause)
            except OSError:
                return  # the client has left, which is what some tests are about


@contextmanager
def raw_server(*pieces: bytes, pause: float = 0, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Serve until the block ends."""
    server = RawServer(pieces, pause=pause, tls=tls)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
