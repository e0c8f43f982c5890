"""Reading of objects into records, in which a malformed object does not stop the others."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from ingestion_operator.cache.projections import READERS, Record
from ingestion_operator.ports import Kind

_logger = logging.getLogger(__name__)

_REPORTED: Final = 10_000


class RecordReader:
    """Reads objects of the kinds of the cache. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reported: OrderedDict[str, None] = OrderedDict()

    def read(self, kind: Kind, body: Mapping[str, Any]) -> Record | None:
        """Return the record of an object; None, with one log line per UID, if it cannot be read."""
        try:
            return READERS[kind](body)
        except Exception as error:  # noqa: BLE001  another client may have written anything
            metadata = body.get("metadata")
            self._report(kind, metadata if isinstance(metadata, dict) else {}, error)
            return None

    def _report(self, kind: Kind, metadata: Mapping[str, Any], error: Exception) -> None:
        uid = str(metadata.get("uid"))
        with self._lock:
            if uid in self._reported:
                return
            self._reported[uid] = None
            if len(self._reported) > _REPORTED:
                self._reported.popitem(last=False)
        name = f"{metadata.get('namespace')}/{metadata.get('name')}"
        _logger.error("%s %s is ignored: it cannot be read: %s: %s", kind.kind, name, type(error).__name__, error)
