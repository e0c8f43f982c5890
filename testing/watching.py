"""A watch over the API server as the events come, read with next to no cost."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 0.1


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


class WatchThread:
    """Passes the events of a collection on until the block ends, in a thread of its own.

    A watch that breaks or ends is opened again, and begins with all objects that there are.
    """

    def __init__(
        self,
        api_client: client.ApiClient,
        path: str,
        on_event: Callable[[dict[str, Any]], None],
        *,
        fields: str = "",
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """Watch the collection at `path`; `on_open` is called before each new watch."""
        self._api = api_client
        self._path = path
        self._on_event = on_event
        self._fields = fields
        self._on_open = on_open
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped = True  # the thread is a daemon: it may wait for an event that never comes

    def _run(self) -> None:
        while not self._is_stopped:
            self._on_open()
            try:
                for event in events(self._api, self._path, fields=self._fields):
                    if self._is_stopped:
                        return
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        self._on_event(event)
            except (urllib3.exceptions.HTTPError, ApiException, OSError):
                time.sleep(_PAUSE_SECONDS)
