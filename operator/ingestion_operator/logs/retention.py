"""Taking old logs out of the archive."""

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


def sweep(store: LogStore, before: datetime, *, goes_on: Callable[[], bool] = lambda: True) -> Swept:
    """Delete the logs of runs whose newest segment was written before that moment, each run's as a whole.

    It ends early where `goes_on`, which is asked before each step, returns False.

    Objects that are none of the archive's are left alone. Repeatable. Holds the names of the runs that are to go
    and of one run's segments, however large the archive. Raises StoreError.
    """
    found = takewhile(lambda _: goes_on(), store.list(""))
    candidates = {run_folder_of(stored.key) for stored in found if stored.modified < before} - {None}
    swept = Swept()
    for folder in sorted(folder for folder in candidates if folder is not None):
        if not goes_on():
            break
        objects = [stored for stored in store.list(folder) if run_folder_of(stored.key) == folder]
        if not objects or max(stored.modified for stored in objects) >= before:
            continue
        store.delete([stored.key for stored in objects])
        size = sum(stored.size for stored in objects)
        swept = Swept(swept.runs + 1, swept.objects + len(objects), swept.size + size)
    return swept
