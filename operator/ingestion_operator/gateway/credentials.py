"""The names and passwords that are let in, from a folder that a Secret is mounted at.

Files come in pairs: `username` and `password`, and `<anything>.username` and `<anything>.password`. All pairs are
valid at once, so that a password is replaced without a moment in which neither is: add the new pair, change the
servers, remove the old pair.
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

_logger = logging.getLogger(__name__)

_USERNAME: Final = "username"
_PASSWORD: Final = "password"  # noqa: S105  the name of a file
Stamp = tuple[tuple[str, int, int, int], ...]


class Credentials:
    """Reread when a file changes.

    A folder that cannot be read keeps what was valid before; one without a pair lets nobody in.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises Rejected (InvalidCredentials) when it has no complete pair.
        """
        self._folder = folder
        self._key = secrets.token_bytes(32)
        try:
            self._seen = self._stamp()
            self._digests = self._read()
        except OSError as error:
            raise Rejected("InvalidCredentials", f"credentials folder {folder}: {error.strerror}") from error
        if not self._digests:
            raise Rejected(
                "InvalidCredentials",
                f"credentials folder {folder} has no pair of files `username` and `password` "
                "(or `<anything>.username` and `<anything>.password`): mount the Secret there",
            )

    def accept(self, authorization: bytes) -> bool:
        """Whether the header's value (`Basic …`) names a valid pair.

        Takes the same time whichever pair matches, or none: digests of one length, all of them compared.
        """
        self._reread_if_changed()
        offered = self._digest(_decode(authorization))
        accepted = False
        for digest in self._digests:
            accepted |= hmac.compare_digest(digest, offered)
        return accepted

    def _digest(self, pair: bytes) -> bytes:
        return hmac.digest(self._key, pair, hashlib.sha256)

    def _reread_if_changed(self) -> None:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            # The stamp is older than what is read now: a change in between is seen at the next request.
            self._digests, self._seen = self._read(), stamp
        except OSError as error:
            _logger.warning("Credentials unchanged: %s", error)
            return
        _logger.info("Credentials reread: %d valid", len(self._digests))

    def _stamp(self) -> Stamp:
        found = []
        for file in self._files():
            stat = file.stat()
            found.append((file.name, stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(found)

    def _files(self) -> list[Path]:
        # A mounted Secret keeps its own folders under names that begin with two dots.
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
                    "Credentials in %s and %s are ignored: both must have content, and a username no colon",
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
