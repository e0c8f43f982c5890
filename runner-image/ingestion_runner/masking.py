"""Keeping secrets out of the log, the report and the termination message."""

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

# An application's private configuration: its values are secrets whatever their keys are called.
_PRIVATE_KEY = "appPrivateConfig"
# It may tell of which kind it is; that word stands in every log.
_DISCRIMINATOR = "type"

# A value this short is masked only where it stands alone: inside words it would turn the log into noise.
_SHORT = 6

# A line of a PEM block or another multi-line secret, long enough to be told from ordinary text.
_SECRET_LINE = 16

_SHAPES = (
    # a JSON Web Token, wherever it comes from
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
    """Every string below a key that names a secret, at any depth of a parsed JSON or YAML document.

    Below ``appPrivateConfig`` every string of six characters or more is one, except under ``type``: shorter
    ones, such as "true" or "eu", hide nothing and would spoil the log.
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
    """Replaces known secrets, and whatever has the shape of one, by asterisks.

    Known secrets are found as they are, URL-quoted, and as JSON or Python would escape them; each line of a
    multi-line secret counts as a secret of its own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.longest = 0
        """Length of the longest known secret, in characters."""
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Learn more secrets."""
        for secret in secrets:
            self._secrets.update(_variants(secret))
        # The longest first: of two that begin alike the regular expression must try the longer one.
        ordered = sorted(self._secrets, key=lambda secret: (-len(secret), secret))
        self._pattern = re.compile("|".join(_expression(secret) for secret in ordered)) if ordered else None
        self.longest = len(ordered[0]) if ordered else 0

    def __call__(self, text: str) -> str:
        """The text without its secrets; line breaks stay where they are."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def mask_values(self, value: Any) -> Any:
        """A copy of JSON-like data with every string in it masked."""
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
