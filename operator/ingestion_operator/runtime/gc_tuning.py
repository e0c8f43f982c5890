"""A start that the garbage collector does not slow down, nor what was loaded in it the collector afterwards."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALLOCATIONS: Final = 20_000
"""New containers between two collections. Python's 700 are less than ten Jobs, and each collection finds nothing; with
more than this reading gets no faster, and garbage stays for longer: ten times as much were 40 MiB."""


@contextmanager
def loading() -> Iterator[None]:
    """Load everything in this block.

    Modules make hundreds of thousands of objects and hardly any garbage: searching them while they are made costs up to
    a tenth of the time, and searching them in each full collection later stops all threads for 0.05 to 0.1 s.

    What comes afterwards are answers of the API server, large trees without cycles: searching them again and again
    while they are read made that up to four times as slow.
    """
    gc.disable()
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
