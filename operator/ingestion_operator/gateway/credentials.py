"""The accepted usernames and passwords, from a folder at which a Secret is mounted.

Files come in pairs: `username` and `password`, and `<anything>.username` and `<anything>.password`. All pairs are
valid at the same time, so a password is replaced without an interruption: add the new pair, change the servers,
remove the old pair.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from pathlib import Path
from typing import Final

from ingestion_operator.errors import Rejected
from ingestion_operator.runtime.reloading import Reloading

_logger = logging.getLogger(__name__)

_USERNAME: Final = "username"
_PASSWORD: Final = "password"  # noqa: S105  the name of a file


class Credentials:
    """The pairs in the folder, which are read again when a file changes.

    If the folder cannot be read, the previous pairs stay valid. If it has no pair, every request is refused.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            Rejected: InvalidCredentials: it cannot be read or has no complete pair.
        """
        self._folder = folder
        self._key = secrets.token_bytes(32)
        try:
            self._digests = Reloading(
                self._files,
                self._read,
                on_reload=lambda digests: _logger.info("Credentials reread: %d valid", len(digests)),
                on_error=lambda error: _logger.warning("Credentials unchanged: %s", error),
            )
        except OSError as error:
            raise Rejected("InvalidCredentials", f"credentials folder {folder}: {error.strerror}") from error
        if not self._digests.current():
            raise Rejected(
                "InvalidCredentials",
                f"credentials folder {folder} has no pair of files `username` and `password` "
                "(or `<anything>.username` and `<anything>.password`): mount the Secret there",
            )

    def accept(self, authorization: bytes) -> bool:
        """Return whether the header's value (`Basic …`) holds a valid pair.

        The time it takes does not depend on which pair matches, if any: all digests have one length and are compared.
        """
        offered = self._digest(_decode(authorization))
        accepted = False
        for digest in self._digests.current():
            accepted |= hmac.compare_digest(digest, offered)
        return accepted

    def _digest(self, pair: bytes) -> bytes:
        return hmac.digest(self._key, pair, hashlib.sha256)

    def _files(self) -> list[Path]:
        # The kubelet's own folders in the mount have names that start with two dots.
        return sorted(file for file in self._folder.iterdir() if not file.name.startswith("..") and file.is_file())

    def _read(self) -> list[bytes]:
        content = {file.name: file.read_bytes().removesuffix(b"\n").removesuffix(b"\r") for file in self._files()}
        digests = []
        for name, username in content.items():
            prefix = name.removesuffix(_USERNAME)
            if prefix == name or (prefix and not prefix.endswith(".")):
                continue
            password = content.get(prefix + _PASSWORD, b"")
            if not username or not password or b":" in username:
                _logger.error(
                    "Credentials in %s and %s are ignored: both must have content, and the username must have no colon",
                    name,
                    prefix + _PASSWORD,
                )
                continue
            digests.append(self._digest(username + b":" + password))
        return digests


def _decode(authorization: bytes) -> bytes:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""
