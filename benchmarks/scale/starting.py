"""How long operator and gateway take from their first instruction until they answer a probe."""

import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Final

from tests.cluster.errors import TestBedError

_BOUND_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.005
_END_SECONDS: Final = 40


def seconds_until_up(command: Sequence[str], environment: Mapping[str, str], url: str) -> float:
    """Start a program, return when it answered 200 at the URL, and end it. Raises TestBedError."""
    begin = time.perf_counter()
    with subprocess.Popen(command, env=dict(environment), stderr=subprocess.DEVNULL) as process:
        try:
            while not _answers(url):
                if process.poll() is not None or time.perf_counter() - begin > _BOUND_SECONDS:
                    raise TestBedError(f"{' '.join(command)} does not answer at {url}")
                time.sleep(_PAUSE_SECONDS)
            return round(time.perf_counter() - begin, 3)
        finally:
            process.terminate()
            process.wait(_END_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  the program's own port
            return bool(answer.status == 200)  # noqa: PLR2004  OK
    except OSError:
        return False
