"""Receives the automation of a warm pod: over TLS, once, from the gateway, which knows the secret of the pod.

The gateway's side is ``ingestion_operator/adapters/warm_pod_tls.py``. Both sides send lines:

=========================  ===========================================================
gateway                    this pod
=========================  ===========================================================
the secret, the document
..                         ``ready``: the document was received, and nothing was started
``go``
..                         ``taken``: the parent has the automation and will close it
=========================  ===========================================================

Before ``go`` the gateway may run the automation elsewhere, since a pod without ``go`` does not start it. So a slow pod
neither loses an automation nor runs it twice.
"""

import contextlib
import hmac
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

from ingestion_runner.inputs import InputPaths

_READ_SECONDS = 5.0
"""Time limit for the next bytes of the gateway."""

_LINE_BYTES = 256
_DOCUMENT_BYTES = 4 * 1024 * 1024


def wait_for_automation(
    paths: InputPaths, port: int, seconds: float, *, on_taken: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """Return the received automation, or None if none came within ``seconds``; ``on_taken`` is called with it first.

    The port is open only during the wait. The pod is ready while it is open.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(paths.handover_certificate)
    secret = paths.handover_secret.read_bytes().strip()
    deadline = time.monotonic() + seconds
    with _listen(port) as listener:
        while (left := deadline - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                break
            document = None
            # Most connections are probes of the kubelet, which send nothing.
            with contextlib.suppress(OSError, ValueError), connection:
                connection.settimeout(_READ_SECONDS)
                with context.wrap_socket(connection, server_side=True) as secured:
                    document = _receive(secured, secret)
                    if document is not None:
                        on_taken(document)
                        secured.sendall(b"taken\n")
            # After "go" this pod runs the automation, whether or not "taken" reaches the gateway.
            if document is not None:
                return document
    return None


def _receive(connection: ssl.SSLSocket, secret: bytes) -> dict[str, Any] | None:
    """Return the document after `go`; None if the secret is wrong or the gateway closes the connection."""
    with connection.makefile("rb") as lines:
        if not hmac.compare_digest(lines.readline(_LINE_BYTES).strip(), secret):
            sys.stdout.write("[runner] rejected an automation from a client without the secret of this pod\n")
            return None
        document = json.loads(lines.readline(_DOCUMENT_BYTES))
        if not isinstance(document, dict):
            return None
        connection.sendall(b"ready\n")
        return document if lines.readline(_LINE_BYTES) == b"go\n" else None


def _listen(port: int) -> socket.socket:
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=dual)
