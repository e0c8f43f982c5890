"""TLS from files that are replaced while the gateway runs, as cert-manager does."""

import logging
import ssl
from pathlib import Path

from ingestion_operator.errors import Rejected
from ingestion_operator.runtime.reloading import Reloading

_logger = logging.getLogger(__name__)


class Certificate:
    """Checks the files at every handshake. If a new pair cannot be used, the previous one stays in force."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the pair (PEM).

        Raises:
            Rejected: InvalidCertificate: the pair cannot be used.
        """
        try:
            self._pair = Reloading(
                lambda: (certificate, key),
                lambda: _load(certificate, key),
                on_reload=lambda _: _logger.info("Certificate reread from %s", certificate),
                on_error=lambda error: _logger.error("Certificate unchanged: %s: %s", certificate, error),
            )
        except OSError as error:
            raise Rejected("InvalidCertificate", f"certificate {certificate} with key {key}: {error}") from error
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A whole context for each pair: one that has held an RSA and an EC certificate would offer both. The
        # callback runs for clients that name no server as well.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._pair.current()


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
