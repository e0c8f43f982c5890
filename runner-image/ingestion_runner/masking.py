"""Masking of secrets in the log, the report and the termination message."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|password|passphrase|secret(?!sManager(Provider|Loader)$)|token|credential|authorization|cookie"
    r"|(private|access|api|account|ssl|signing|encryption)_?-?key|^key$",
    re.IGNORECASE,
)

# The private configuration of an application: all its values are secrets, whatever their keys.
_PRIVATE_KEY = "appPrivateConfig"
# The kind of the configuration, which is not secret and appears in every log.
_DISCRIMINATOR = "type"

# A shorter value is masked only as a separate word: as a part of words it would make the log unreadable.
_SHORT = 6

# Minimum length of a line of a multi-line secret, such as a PEM block, to be distinct from ordinary text.
_SECRET_LINE = 16

_SHAPES = (
    # a JSON Web Token from any source
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"), MASK),
    # the user information of a URL
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@"), rf"\1:{MASK}@"),
    # SQL that sets a password: such statements appear in query logs
    (re.compile(r"(\b(?:password|identified\s+by)\s*=?\s*)'(?:[^'\n]|'')*'", re.IGNORECASE), rf"\1'{MASK}'"),
    (
        re.compile(r"(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)\s+)[^\s'\"]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
)


def secrets_of(document: Any) -> Iterator[str]:
    """Yield every string below a key that names a secret, at any depth of a parsed JSON or YAML document.

    Below ``appPrivateConfig`` every string of six or more characters is a secret, except under ``type``. Shorter ones,
    such as "true" or "eu", are not secret, and masking them would make the log unreadable.
    """
    if isinstance(document, Mapping):
        for key, value in document.items():
            if isinstance(key, str) and _SECRET_KEY.search(key):
                yield from _strings(value)
            elif key == _PRIVATE_KEY:
                yield from (text for text in _private_strings(value) if len(text) >= _SHORT)
                yield from secrets_of(value)
            else:
                yield from secrets_of(value)
    elif isinstance(document, list | tuple):
        for item in document:
            yield from secrets_of(item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _private_strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key != _DISCRIMINATOR:
                yield from _private_strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _private_strings(item)
    elif isinstance(value, str):
        yield value


class Masker:
    """Replaces known secrets, and texts in the format of a secret, by asterisks.

    Known secrets are found in plain text, URL-quoted, and escaped as in JSON or Python. Each line of a multi-line
    secret is a secret of its own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.longest = 0
        """Length of the longest known secret, in characters."""
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Add secrets."""
        for secret in secrets:
            self._secrets.update(_variants(secret))
        # The longest first: of two with the same start the regular expression must try the longer one.
        ordered = sorted(self._secrets, key=lambda secret: (-len(secret), secret))
        self._pattern = re.compile("|".join(_expression(secret) for secret in ordered)) if ordered else None
        self.longest = len(ordered[0]) if ordered else 0

    def __call__(self, text: str) -> str:
        """Return the text with masked secrets and unchanged line breaks."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def mask_values(self, value: Any) -> Any:
        """Return a copy of JSON-like data with masked strings."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.mask_values(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_values(item) for item in value]
        return value


def _variants(secret: str) -> Iterator[str]:
    stripped = secret.strip()
    if not stripped:
        return
    lines = [line.strip() for line in stripped.splitlines()]
    plain = [stripped] if len(lines) == 1 else [line for line in lines if len(line) >= _SECRET_LINE]
    for text in plain:
        yield text
        yield quote(text, safe="")
        yield quote_plus(text)
    for text in {stripped, secret}:
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]


def _expression(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= _SHORT else rf"(?<!\w){escaped}(?!\w)"
