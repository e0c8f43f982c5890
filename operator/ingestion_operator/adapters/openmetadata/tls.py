"""TLS contexts for connections to OpenMetadata's server."""

import importlib.util
import ssl
from pathlib import Path


def tls_context(*, verifies: bool) -> ssl.SSLContext:
    """Return a context that verifies certificates with the CAs of the system and of certifi, or not at all."""
    context = ssl.create_default_context()
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif (bundle := _bundle()) is not None:
        context.load_verify_locations(cafile=bundle)
    return context


def _bundle() -> Path | None:
    """Return the CA bundle of certifi, a dependency of the Kubernetes client: a slim image may have no CAs."""
    spec = importlib.util.find_spec("certifi")
    path = Path(spec.origin).with_name("cacert.pem") if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None
