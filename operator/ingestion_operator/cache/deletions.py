"""Recently deleted objects. Not thread-safe: the store holds its lock during each call."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from ingestion_operator.runs.pods import Pod

_KEPT_SECONDS: Final = 600.0
_PODS: Final = 1000
_UIDS: Final = 10_000


class Deletions:
    """The UIDs of objects known to be deleted, and the last states of deleted pods, each for ten minutes at most."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._uids: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._pods: OrderedDict[str, tuple[float, Pod]] = OrderedDict()

    def add(self, uid: str, *, is_own: bool) -> None:
        """Remember a deleted object until the watch shows the deletion. `is_own`: this program deleted it."""
        self._uids[uid] = self._monotonic(), is_own
        while len(self._uids) > _UIDS:
            self._uids.popitem(last=False)

    def has(self, uid: str) -> bool:
        """Return whether the object was deleted, so that a list or event with it is outdated."""
        at, _ = self._uids.get(uid, (float("-inf"), False))
        return self._monotonic() - at <= _KEPT_SECONDS

    def confirm(self, uid: str) -> bool:
        """Forget a UID whose deletion the watch has shown. Return whether this program deleted it."""
        _, is_own = self._uids.pop(uid, (0.0, False))
        return is_own

    def add_pod(self, pod: Pod) -> None:
        """Remember the last state of a pod; a later call replaces it."""
        self._pods.pop(pod.uid, None)
        self._pods[pod.uid] = self._monotonic(), pod
        while len(self._pods) > _PODS:
            self._pods.popitem(last=False)

    def pods(self) -> list[Pod]:
        """Return the deleted pods, the oldest deletion first."""
        since = self._monotonic() - _KEPT_SECONDS
        return [pod for at, pod in self._pods.values() if at >= since]

    def forget_pods(self, uids: Iterable[str]) -> None:
        """Forget deleted pods."""
        for uid in uids:
            self._pods.pop(uid, None)
