"""How a warm pod is given its automation: over TLS, once, by whoever knows this pod's secret.

The other end is the gateway (``ingestion_operator/adapters/warm_pod_tls.py``). Each sends lines:

=========================  ===========================================================
gateway                    this pod
=========================  ===========================================================
the secret, the document
..                         ``ready``: the whole document is here, nothing has been done
``go``
..                         ``taken``: the parent knows of it and will see to its end
=========================  ===========================================================

Up to ``go`` the gateway may change its mind and have the automation carried out elsewhere: a pod that is not told to
go does nothing. So a pod that is merely slow neither loses an automation nor doubles it.
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

_PATIENCE_SECONDS = 5.0
"""Longest wait for the other end's next bytes."""

_LINE_BYTES = 256
_DOCUMENT_BYTES = 4 * 1024 * 1024


def wait_for_automation(
    paths: InputPaths, port: int, seconds: float, *, on_taken: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """The automation that was handed over, or None when none came in time; ``on_taken`` learns of it first.

    The port is open only while this waits: that it can be reached is what makes the pod ready.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(paths.handover_certificate)
    secret = paths.handover_secret.read_bytes().strip()
    give_up_at = time.monotonic() + seconds
    with _listen(port) as listener:
        while (left := give_up_at - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                break
            document = None
            # Most of those who come are the kubelet's probes, which say nothing.
            with contextlib.suppress(OSError, ValueError), connection:
                connection.settimeout(_PATIENCE_SECONDS)
                with context.wrap_socket(connection, server_side=True) as secured:
                    document = _offered(secured, secret)
                    if document is not None:
                        on_taken(document)
                        secured.sendall(b"taken\n")
            # From "go" on it is this pod's, whether or not the other end hears that it is taken.
            if document is not None:
                return document
    return None


def _offered(connection: ssl.SSLSocket, secret: bytes) -> dict[str, Any] | None:
    """The document, once the other end has said to go; None when it does not know the secret or leaves."""
    with connection.makefile("rb") as lines:
        if not hmac.compare_digest(lines.readline(_LINE_BYTES).strip(), secret):
            sys.stdout.write("[runner] refused an automation from somebody who does not know this pod's secret\n")
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
