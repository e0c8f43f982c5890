"""A value that is read from files, and read again when they change."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")
_Stamp = tuple[object, ...]


class Reloading(Generic[_T]):
    """Keeps the last value that could be read. May be shared by threads.

    Name, modification time, inode and size of the files show a change: a mounted Secret or ConfigMap is replaced as a
    whole, with new inodes.
    """

    def __init__(
        self,
        files: Callable[[], Iterable[Path]],
        read: Callable[[], _T],
        *,
        on_reload: Callable[[_T], None],
        on_error: Callable[[Exception], None],
        errors: type[Exception] = OSError,
        check_seconds: float = 0.0,
        initial: _T | None = None,
    ) -> None:
        """Read the value.

        Args:
            files: Returns the files whose change is a change of the value.
            read: Reads the value.
            on_reload: Is called with each new value.
            on_error: Is called once for each change that cannot be read. The value in force stays.
            errors: What `read` raises in that case. At construction it is not caught.
            check_seconds: How long a value is used without a check of the files.
            initial: The value, if the caller has just read it.
        """
        self._files = files
        self._read = read
        self._on_reload = on_reload
        self._on_error = on_error
        self._errors = errors
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._next_check_at = time.monotonic()
        self._failed: _Stamp | None = None
        self._stamp = self._current_stamp()
        self._value = read() if initial is None else initial

    def current(self) -> _T:
        """Return the value in force."""
        if time.monotonic() < self._next_check_at:
            return self._value
        with self._lock:
            self._next_check_at = time.monotonic() + self._check_seconds
            # The stamp is older than the value that is read next: a change in between shows at the next check.
            stamp = self._current_stamp()
            if stamp != self._stamp:
                self._reload(stamp)
            return self._value

    def _reload(self, stamp: _Stamp) -> None:
        try:
            self._value = self._read()
        except self._errors as error:
            # The next check tries again: the cause may be this process, such as a limit of open files.
            if stamp != self._failed:
                self._failed = stamp
                self._on_error(error)
            return
        self._stamp, self._failed = stamp, None
        self._on_reload(self._value)

    def _current_stamp(self) -> _Stamp:
        try:
            return tuple(_stamp_of(file) for file in self._files())
        except OSError:
            return ()


def _stamp_of(file: Path) -> tuple[str, int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return file.name, stat.st_mtime_ns, stat.st_ino, stat.st_size
