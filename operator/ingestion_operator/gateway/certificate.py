"""TLS from files that are replaced while the gateway runs, as cert-manager does."""

import logging
import ssl
from pathlib import Path
from typing import Final

from ingestion_operator.errors import Rejected

_logger = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int], ...]


class Certificate:
    """Checks the files at every handshake. A pair that cannot be used keeps the one before in force."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the pair (PEM).

        Raises Rejected (InvalidCertificate).
        """
        self._files: Final = (certificate, key)
        try:
            self._seen = self._stamp()
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise Rejected("InvalidCertificate", f"certificate {certificate} with key {key}: {error}") from error
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A whole context for each pair: one that has held an RSA and an EC certificate would offer both. The
        # callback runs for clients that name no server as well.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                self._current = self._load()
                _logger.info("Certificate reread from %s", self._files[0])
        except (OSError, ssl.SSLError) as error:
            _logger.error("Certificate unchanged: %s: %s", self._files[0], error)  # noqa: TRY400  the message says it all
        connection.context = self._current

    def _stamp(self) -> _Stamp:
        stats = [file.stat() for file in self._files]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        return context
