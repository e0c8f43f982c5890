"""Deletion of old logs from the archive."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from ingestion_operator.logs.layout import run_folder_of
from ingestion_operator.ports import LogStore


@dataclass(frozen=True)
class Swept:
    """How much was deleted."""

    runs: int = 0
    objects: int = 0
    size: int = 0
    """Bytes, as stored."""


def sweep(store: LogStore, before: datetime, *, may_continue: Callable[[], bool] = lambda: True) -> Swept:
    """Delete the logs of runs whose newest segment was written before that moment, each run as a whole.

    It stops early if `may_continue`, which is called before each step, returns False. Objects that are not segments
    stay. Repeatable. Holds only the names of the runs to delete and of the segments of one run in memory.

    Raises:
        StoreError: The store failed.
    """
    found = takewhile(lambda _: may_continue(), store.list(""))
    candidates = {run_folder_of(stored.key) for stored in found if stored.modified < before} - {None}
    swept = Swept()
    for folder in sorted(folder for folder in candidates if folder is not None):
        if not may_continue():
            break
        objects = [stored for stored in store.list(folder) if run_folder_of(stored.key) == folder]
        if not objects or max(stored.modified for stored in objects) >= before:
            continue
        store.delete([stored.key for stored in objects])
        size = sum(stored.size for stored in objects)
        swept = Swept(swept.runs + 1, swept.objects + len(objects), swept.size + size)
    return swept
