"""A watch over the API server as the events come, read with next to no cost."""

import json
from collections.abc import Iterator
from typing import Any, Final

from kubernetes import client

_SECONDS: Final = 300


def events(api_client: client.ApiClient, path: str, *, fields: str = "") -> Iterator[dict[str, Any]]:
    """Yield the events (type, object) of the collection at `path`, first what is there; ends after five minutes.

    With `fields`, a field selector, only of those that it selects.

    Raises urllib3's HTTPError and OSError when the API server goes away or is not ready.
    """
    serialized = api_client.param_serialize(
        "GET",
        path,
        query_params=[
            ("watch", "true"),
            ("timeoutSeconds", _SECONDS),
            *([("fieldSelector", fields)] if fields else []),
        ],
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    response = api_client.call_api(*serialized, _request_timeout=(5, _SECONDS + 10)).response
    if response.status != 200:  # one that has just started may answer 403 or 503
        raise ConnectionError(f"watching {path}: HTTP {response.status}")
    rest = b""
    for piece in response.stream(amt=None):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(json.loads, lines)
