"""The gateway's end of handing an automation over to a warm pod; the other is the runner's `workflow/handover.py`.

A pod is known by its certificate, which was made for it alone and is checked against nothing else; the gateway by a
secret that nobody else has. Lines are sent: the secret and the document; the pod answers `ready`; `go`; `taken`.
Until it is told to go, the pod does nothing.
"""

import json
import logging
import re
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ingestion_operator import constants
from ingestion_operator.ports import HandedOver

_logger = logging.getLogger(__name__)

_READY_SECONDS: Final = 2.5
"""For connecting, the document and the pod's `ready` together."""

_TAKEN_SECONDS: Final = 1.5
_VALID: Final = timedelta(days=1)
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
_LINE_BYTES: Final = 256


class TlsHandOver:
    """Implements the port HandOver."""

    def __init__(self, port: int = constants.WARM_POD_PORT) -> None:
        self._port = port

    def credentials(self, pod_name: str) -> dict[str, str]:
        """Return a certificate with its key, and a secret."""
        return {
            constants.CERTIFICATE_KEY: _certificate(pod_name),
            constants.HANDOVER_SECRET_KEY: secrets.token_urlsafe(32),
        }

    def give(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandedOver:
        """Give the document to the pod at an IP address."""
        give_up_at = time.monotonic() + _READY_SECONDS
        told = False
        try:
            context = _trusting(credentials[constants.CERTIFICATE_KEY])
            message = f"{credentials[constants.HANDOVER_SECRET_KEY]}\n{json.dumps(json.loads(document))}\n"
            with (
                socket.create_connection((address, self._port), _left(give_up_at)) as plain,
                context.wrap_socket(plain, server_hostname=name) as pod,
            ):
                pod.settimeout(_left(give_up_at))
                pod.sendall(message.encode())
                if _line(pod, give_up_at) != b"ready":
                    return "refused"
                told = True
                pod.sendall(b"go\n")
                return "taken" if _line(pod, time.monotonic() + _TAKEN_SECONDS) == b"taken" else "unknown"
        except (OSError, ValueError, KeyError) as error:
            _logger.warning("The warm pod %s at %s: %s: %s", name, address, type(error).__name__, error)
            return "unknown" if told else "refused"


def _line(pod: ssl.SSLSocket, give_up_at: float) -> bytes:
    """Return what the pod says up to the end of the line, or of the connection."""
    said = b""
    while not said.endswith(b"\n") and len(said) < _LINE_BYTES:
        pod.settimeout(_left(give_up_at))
        chunk = pod.recv(_LINE_BYTES)
        if not chunk:
            break
        said += chunk
    return said.strip()


def _left(give_up_at: float) -> float:
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("it does not answer in time")
    return left


def _trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=re.sub(r"-+BEGIN PRIVATE.*", "", certificate, flags=re.DOTALL))
    return context


def _certificate(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(serialization.Encoding.PEM) + pem).decode()
