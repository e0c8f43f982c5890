"""Implementation of LogStore with obstore: a folder, or a bucket of S3, Google Cloud Storage or Azure."""

import html
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from ingestion_operator.errors import NotFound, StoreError
from ingestion_operator.ports import StoredObject

_T = TypeVar("_T")

_CONNECT_SECONDS: Final = 3
_REQUEST_SECONDS: Final = 10.0
_ATTEMPTS: Final = 3

_LIST_CHUNK: Final = 1000
_DELETE_CHUNK: Final = 1000

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<\n]+)")
_NO_OBJECT: Final = frozenset({"NoSuchKey", "BlobNotFound"})


class ObjectStore:
    """The store at a URL. It is opened at its first use, and each use retries until that succeeds.

    Calls to a bucket are bounded in time; calls to a folder are bounded only by the file system. The credentials of
    buckets come from the environment variables of the clouds' own tools; see docs/user-guide/logs.md.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool,
        request_seconds: float = _REQUEST_SECONDS,
        attempts: int = _ATTEMPTS,
        written: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Set the store.

        Args:
            url: Its URL.
            create: Whether to create a missing folder. Otherwise calls fail until it exists.
            request_seconds: The time limit of one request to a bucket.
            attempts: The most requests of one call.
            written: Is called with the size of each written object, in bytes.
        """
        self._url = url
        self._create = create
        self._request_seconds = request_seconds
        self._attempts = attempts
        self._written = written
        self._opened: Any = None
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        """Write an object atomically."""
        self._call("write", key, lambda store: obstore.put(store, key, data))
        self._written(len(data))

    def get(self, key: str) -> bytes:
        """Return an object. Raises NotFound."""
        try:
            return self._call("read", key, lambda store: bytes(obstore.get(store, key).bytes()))
        except FileNotFoundError as error:
            raise NotFound(f"log archive {self._place}: {key} does not exist", code=404) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below a folder."""
        pages = self._call("list", prefix, lambda store: obstore.list(store, prefix or None, chunk_size=_LIST_CHUNK))
        while page := self._call("list", prefix, lambda _: next(pages, None)):
            for meta in page:
                yield StoredObject(meta["path"], meta["size"], meta["last_modified"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        for start in range(0, len(keys), _DELETE_CHUNK):
            chunk = list(keys[start : start + _DELETE_CHUNK])
            try:
                self._call("delete", chunk[0], partial(obstore.delete, paths=chunk))
            except FileNotFoundError:
                self._delete_singly(chunk)

    def _delete_singly(self, keys: Sequence[str]) -> None:
        """Delete objects one by one: in a folder a missing object ends the deletion of a list."""
        for key in keys:
            try:
                self._call("delete", key, partial(obstore.delete, paths=key))
            except FileNotFoundError:
                continue

    def _call(self, operation: str, key: str, call: Callable[[Any], _T]) -> _T:
        try:
            return call(self._store())
        except (BaseError, OSError, ValueError) as error:
            if operation in ("read", "delete") and _is_about_object(error):
                raise
            failed = f"log archive {self._place}: cannot {operation} {key or 'all'}"
            raise StoreError(f"{failed}: {_reason(error)}") from error

    @property
    def _place(self) -> str:
        """The URL without parts that may be credentials."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _store(self) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> Any:
        if urlsplit(self._url).scheme == "file":
            return LocalStore.from_url(self._url, mkdir=self._create, automatic_cleanup=True)
        return from_url(
            self._url,
            client_options={
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "timeout": timedelta(seconds=self._request_seconds),
                "allow_http": True,  # used only if the administrator sets an http:// endpoint
            },
            retry_config={
                "max_retries": self._attempts - 1,
                "retry_timeout": timedelta(seconds=self._request_seconds * self._attempts),
            },
        )


def _is_about_object(error: Exception) -> bool:
    """Return whether the object is missing. A missing bucket, container or user causes a 404 too."""
    code = _CODE.search(str(error))
    return isinstance(error, FileNotFoundError) and (code is None or code[1] in _NO_OBJECT)


def _reason(error: Exception) -> str:
    """Return the error in one line, with the code and message from the server's XML.

    The rest is left out, such as the expected signature and the debug text of the library.
    """
    text = str(error)
    details = [found[1] for found in (_CODE.search(text), _MESSAGE.search(text)) if found]
    line = text.partition("\n")[0].partition("<")[0].rstrip(" :\ufeff")
    return ": ".join([line, *map(html.unescape, details)])
