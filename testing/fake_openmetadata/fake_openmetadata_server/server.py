"""HTTP/1.1 around the fake OpenMetadata server, with nothing but the standard library."""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .app import Double
from .wire import Reply, Request

IDLE_SECONDS = 300


class DoubleServer(ThreadingHTTPServer):
    """One thread per connection; connections are kept alive."""

    daemon_threads = True
    request_queue_size = 512  # thousands of pods may start at once

    def __init__(self, address: tuple[str, int], fake_server: Double) -> None:
        super().__init__(address, Handler)
        self.fake_server = fake_server


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: head and body leave in one packet, or the second waits for an acknowledgement
    server: DoubleServer

    def do_GET(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self._send(Reply(411, {"code": 411, "message": "send a Content-Length"}))
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request.parse(self.command, self.path, dict(self.headers.items()), body)
        reply = self.server.fake_server.handle(request)
        if reply is None:
            self.close_connection = True
            return
        self._send(reply)

    do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  the names are the standard library's

    def _send(self, reply: Reply) -> None:
        content = reply.encode()
        self.send_response(reply.status)
        if content:
            self.send_header("Content-Type", reply.media_type)
        if reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only what went wrong."""
        if not self.path.startswith("/_fake") and int(code) >= HTTPStatus.BAD_REQUEST:
            super().log_request(code, size)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        print(f"{self.log_date_time_string()} {format % args}", file=sys.stderr)
