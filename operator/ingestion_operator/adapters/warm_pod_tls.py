"""The gateway's side of the connection to a warm pod; the pod's side is the runner's `workflow/handover.py`.

The pod authenticates itself by a certificate that was generated for it alone, and is trusted by that certificate only.
The gateway authenticates itself by a secret of that pod. The gateway sends the secret and the document, one line each;
the pod responds `ready`; the gateway sends `go`; the pod responds `taken`. Before `go` the pod does not start the
automation.
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
from ingestion_operator.ports import HandoverResult

_logger = logging.getLogger(__name__)

_READY_SECONDS: Final = 2.5
"""Time limit from the connection to the pod's `ready`."""

_TAKEN_SECONDS: Final = 1.5
_VALIDITY: Final = timedelta(days=1)
_CLOCK_SKEW: Final = timedelta(minutes=10)
_LINE_BYTES: Final = 256


class WarmPodTls:
    """Implements the port WarmPodConnection."""

    def __init__(self, port: int = constants.WARM_POD_PORT) -> None:
        self._port = port

    def credentials(self, pod_name: str) -> dict[str, str]:
        """Return a certificate with its key, and a secret."""
        return {
            constants.CERTIFICATE_KEY: _certificate(pod_name),
            constants.HANDOVER_SECRET_KEY: secrets.token_urlsafe(32),
        }

    def send(self, address: str, name: str, credentials: Mapping[str, str], document: str) -> HandoverResult:
        """Send the document to the pod at an IP address."""
        deadline = time.monotonic() + _READY_SECONDS
        is_started = False
        try:
            context = _client_context(credentials[constants.CERTIFICATE_KEY])
            message = f"{credentials[constants.HANDOVER_SECRET_KEY]}\n{json.dumps(json.loads(document))}\n"
            with (
                socket.create_connection((address, self._port), _seconds_left(deadline)) as plain,
                context.wrap_socket(plain, server_hostname=name) as pod,
            ):
                pod.settimeout(_seconds_left(deadline))
                pod.sendall(message.encode())
                if _line(pod, deadline) != b"ready":
                    return "refused"
                is_started = True
                pod.sendall(b"go\n")
                return "taken" if _line(pod, time.monotonic() + _TAKEN_SECONDS) == b"taken" else "unknown"
        except (OSError, ValueError, KeyError) as error:
            _logger.warning("The warm pod %s at %s: %s: %s", name, address, type(error).__name__, error)
            return "unknown" if is_started else "refused"


def _line(pod: ssl.SSLSocket, deadline: float) -> bytes:
    """Return the pod's response up to the end of the line, or of the connection."""
    response = b""
    while not response.endswith(b"\n") and len(response) < _LINE_BYTES:
        pod.settimeout(_seconds_left(deadline))
        chunk = pod.recv(_LINE_BYTES)
        if not chunk:
            break
        response += chunk
    return response.strip()


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no response in time")
    return seconds


def _client_context(certificate: str) -> ssl.SSLContext:
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
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(serialization.Encoding.PEM) + pem).decode()
