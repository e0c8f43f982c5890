"""Which calls of a client fail at the fault proxy, and how; no network here."""

import re
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Outcome = int | Literal["cut", "error", "gone", "pass", "silence"]

LEADER_CHANGED: Final = "etcdserver: leader changed"
"""What an API server sends to its watches during an election of etcd."""


@dataclass(frozen=True)
class Fault:
    """What becomes of a call.

    `outcome` is the code of an answer of the proxy's own, or one of

    - "cut": the connection ends without an answer,
    - "silence": no answer, and no end of the connection either, also after the fault is over,
    - "error": a watch opens and gets one ERROR event with `code` and `message`, then ends,
    - "gone": what an API server sends to a watch that comes back too late, an ERROR event with 410,
    - "pass": the API server's answer.

    It comes after `delay` seconds; with `after_effect` the API server has done its part before them, else it gets the
    call after them ("pass") or never.
    """

    outcome: Outcome
    after_effect: bool = False
    delay: float = 0
    code: int = 504
    message: str = LEADER_CHANGED


@dataclass(frozen=True)
class Call:
    """A call as it came in; `target` is the path with the query, decoded."""

    method: str
    target: str

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method not in ("GET", "HEAD", "OPTIONS")


@dataclass
class Rule:
    """A fault and the calls that it hits: of those that match, the `nth` (from 1) and those behind it, `times` in all.

    `method` and `target` are regular expressions, for the whole method and for a part of the target; of the texts
    in `naming`, if any, target or body must hold one. `times` None is all of them.
    """

    fault: Fault
    method: str = ".*"
    target: str = ""
    naming: tuple[str, ...] = ()
    nth: int = 1
    times: int | None = 1
    struck: threading.Event = field(default_factory=threading.Event)
    """Set when a call has been hit, and the API server has done its part if it should."""
    matched: int = 0

    def hits(self, call: Call, body: bytes) -> bool:
        """Count a call; return whether the fault is for it."""
        if not self.covers(call):
            return False
        if self.naming and not any(name in call.target or name.encode() in body for name in self.naming):
            return False
        self.matched += 1
        behind = self.matched - self.nth
        return behind >= 0 and (self.times is None or behind < self.times)

    def covers(self, call: Call) -> bool:
        """Return whether method and target match; nothing is counted."""
        return bool(re.fullmatch(self.method, call.method) and re.search(self.target, call.target))


def collection(plural: str = "[a-z]+", namespace: str = "[^/?]+", *, only_watches: bool = False) -> str:
    """Return the target of lists and watches of a kind in a namespace; without arguments: of all kinds everywhere."""
    scope = rf"/(namespaces/{namespace}/)?" if namespace == "[^/?]+" else rf"/namespaces/{namespace}/"
    query = r"\?(.*&)?watch=(true|True|1)(&|$)" if only_watches else r"(\?|$)"
    return rf"^/(api|apis/[^/?]+)/v[^/?]+{scope}{plural}{query}"


def status_of(code: int, message: str = "a fault, as ordered") -> dict[str, Any]:
    """Return the body of a failure, as an API server writes it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
