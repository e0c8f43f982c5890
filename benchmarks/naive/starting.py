"""In the place of the runner's module of this name: the library is imported as ever, and Python ends as ever."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

vars(os)["_exit"] = sys.exit


@contextmanager
def quick_import() -> Iterator[None]:
    """Do nothing about it."""
    yield


def remember_package_versions() -> None:
    """Let them be read again and again."""
