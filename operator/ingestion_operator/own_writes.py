"""What this process has just written itself: the event of it is no news."""

from typing import Any, Final

_LIMIT: Final = 10_000
"""Writes whose events may still be on their way; those of a watch that has broken off never come."""


class OwnWrites:
    """Versions of objects by uid; for all threads.

    An event that is asked about before the answer to its write has come is taken for news: a look more, and no harm.
    """

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}

    def note(self, body: dict[str, Any]) -> None:
        """Remember an object as the API server has answered it."""
        metadata = body["metadata"]
        if len(self._versions) >= _LIMIT:
            self._versions.clear()
        self._versions[metadata["uid"]] = metadata["resourceVersion"]

    def knows(self, body: dict[str, Any]) -> bool:
        """Tell, once, whether an object is exactly what was written last."""
        metadata = body["metadata"]
        if self._versions.get(metadata["uid"]) != metadata["resourceVersion"]:
            return False
        self._versions.pop(metadata["uid"], None)
        return True
