"""Garbage collector settings for the start of a process and for its time afterwards."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALLOCATIONS: Final = 20_000
"""Generation 0 threshold: net allocations of container objects (dicts, lists, instances) between two collections.
Python's 700 are fewer than the objects of ten Jobs, so that collections find nothing. A higher value makes reads no
faster and keeps garbage for longer: ten times as much takes 40 MiB."""


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector while modules are imported in this block, and exclude their objects afterwards.

    Imports create hundreds of thousands of objects and hardly any garbage. Collections during the imports take up to a
    tenth of their time. Later, each full collection of these objects would stop all threads for 0.05 to 0.1 s.

    The threshold is raised for the responses of the API server, large trees without cycles: frequent collections made
    reading them up to four times slower.
    """
    gc.disable()
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
