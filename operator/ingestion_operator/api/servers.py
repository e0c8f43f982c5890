"""Patterns of the OpenMetadata servers that an administrator allows; pure.

Hosts are compared as text and never resolved. A URL with more than a plain host and port, such as a user, a backslash,
an escape or a non-ASCII letter, matches no pattern: programs differ in the host that they read from it.
"""

import re
from ipaddress import IPv6Address
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

_LABEL: Final = "[A-Za-z0-9_](?:[-A-Za-z0-9_]*[A-Za-z0-9_])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_AUTHORITY: Final = rf"({_NAME}\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{{1,5}})?"
_PATTERN: Final = rf"(?:\*\.)?{_AUTHORITY}"
_LENGTH: Final = 270
_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65535


class _Address(NamedTuple):
    host: str
    """In lower case, without a trailing dot; an IPv6 address in its shortest form, without brackets."""
    port: int | None


def matches(pattern: str, host_port: str) -> bool:
    """Return whether a valid pattern allows a server's URL, such as http://openmetadata:8585/api.

    `*.example.com` allows all names below example.com, but not example.com itself. A pattern without a port allows all
    ports; a URL without one has the port of its scheme.
    """
    found = re.fullmatch(r"(https?)://([^/]*)(/.*)?", host_port)
    server = _address(found[2]) if found else None
    allowed = _address(pattern.removeprefix("*."))
    if found is None or server is None or allowed is None:
        return False
    if allowed.port is not None and allowed.port != (server.port or _PORTS[found[1]]):
        return False
    if pattern.startswith("*."):
        return server.host.endswith(f".{allowed.host}")
    return server.host == allowed.host


def _address(text: str) -> _Address | None:
    found = re.fullmatch(_AUTHORITY, text)
    if found is None:
        return None
    host, port = found[1].lower(), int(found[2][1:]) if found[2] else None
    if port is not None and not 0 < port <= _LARGEST_PORT:
        return None
    if host.startswith("["):
        try:
            host = str(IPv6Address(host[1:-1]))
        except ValueError:
            return None
    return _Address(host.removesuffix("."), port)


def _check(pattern: str) -> str:
    if fix := _fix(pattern):
        raise ValueError(f"{pattern!r} is not a host: {fix}")
    return pattern


def _fix(pattern: str) -> str:
    """Return the fix for an invalid pattern, empty for a valid one."""
    host = pattern.removeprefix("*.")
    if "/" in pattern:
        return "write only the host of the URL, such as openmetadata.example.com or openmetadata:8585"
    if "*" in host or (host != pattern and (not host or host.startswith("["))):
        return "write * as the first label only, as in *.example.com"
    if _address(host) is not None:
        return ""
    if host.startswith("[") or (host.count(":") > 1 and re.fullmatch("[0-9A-Fa-f:.]+", host)):
        return "write an IPv6 address in brackets, as in [2001:db8::1]:8585"
    if re.fullmatch(rf"{_NAME}\.?:[^:]*", host):
        return f"write a port from 1 to {_LARGEST_PORT} after the colon, or nothing to allow all ports"
    return "write a host, such as openmetadata.example.com, *.example.com or openmetadata:8585"


ServerPattern = Annotated[
    str,
    StringConstraints(max_length=_LENGTH),
    AfterValidator(_check),
    WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$", "maxLength": _LENGTH}),
]
