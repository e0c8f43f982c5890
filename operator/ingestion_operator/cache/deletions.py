"""What is remembered of objects that have gone. Not safe for threads: the store holds its lock around each call."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from ingestion_operator.runs.pods import Pod

_KEPT_SECONDS: Final = 600.0
_PODS: Final = 1000
_UIDS: Final = 10_000


class Deletions:
    """The UIDs that this program deleted, and the last states of pods, each for ten minutes at most."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._uids: OrderedDict[str, float] = OrderedDict()
        self._pods: OrderedDict[str, tuple[float, Pod]] = OrderedDict()

    def add(self, uid: str) -> None:
        """Remember an object that the API server says has gone, until the watch shows its deletion."""
        self._uids[uid] = self._monotonic()
        while len(self._uids) > _UIDS:
            self._uids.popitem(last=False)

    def has(self, uid: str) -> bool:
        """Return whether the object is known to have gone, so that what still shows it is old."""
        return self._monotonic() - self._uids.get(uid, float("-inf")) <= _KEPT_SECONDS

    def confirm(self, uid: str) -> bool:
        """Forget a UID of which the watch has shown the deletion. Return whether this program deleted it."""
        return self._uids.pop(uid, None) is not None

    def add_pod(self, pod: Pod) -> None:
        """Remember the last state of a pod; a later one replaces it."""
        self._pods.pop(pod.uid, None)
        self._pods[pod.uid] = self._monotonic(), pod
        while len(self._pods) > _PODS:
            self._pods.popitem(last=False)

    def pods(self) -> list[Pod]:
        """Return the pods that are remembered, the oldest deletion first."""
        since = self._monotonic() - _KEPT_SECONDS
        return [pod for at, pod in self._pods.values() if at >= since]

    def forget_pods(self, uids: Iterable[str]) -> None:
        """Forget pods."""
        for uid in uids:
            self._pods.pop(uid, None)
