"""What goes wrong meanwhile, one thing at a time, each with everything up again at its end."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, Self

from testing.fake_openmetadata_client import FakeServerClient
from testing.fault_proxy import Fault, FaultProxy, Rule
from testing.gateway_process import GatewayProcess
from tests.scenarios.soak.ledger import WATCHED
from tests.scenarios.soak.programs import Program

_SHORTEST_SECONDS: Final = 0.5
_OUTCOMES: Final = (
    Fault(500), Fault(503), Fault(429), Fault("cut"), Fault("cut", after_effect=True), Fault("pass", delay=1.5),
)  # fmt: skip
_NOT_WATCHES: Final = r"^(?!.*[?&]watch=)"


class Faults:
    """Injects faults by a seed until the block ends."""

    def __init__(
        self,
        operator: Program[Any],
        gateway: Program[GatewayProcess],
        proxies: dict[str, FaultProxy],
        fake_server: FakeServerClient,
        *,
        seed: int,
        mean_pause_seconds: float,
        ends_of_programs: float,
    ) -> None:
        """Disturb the two programs, what the proxies named after them pass on, and what the fake server answers.

        `ends_of_programs` is how often each way to end one comes, beside 1 for each other fault.
        """
        self._operator = operator
        self._gateway = gateway
        self._proxies = proxies
        self._fake_server = fake_server
        self._chance = random.Random(f"faults {seed}")  # noqa: S311  a seed is what it is for
        self._mean_pause_seconds = mean_pause_seconds
        self._ends_of_programs = ends_of_programs
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self.is_disturbed = threading.Event()
        """Set while there is a fault."""
        self.injected: Counter[str] = Counter()
        self.failure: BaseException | None = None
        """Why it stopped early: a program has not come up again."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=120)

    def _run(self) -> None:
        ends: dict[str, Callable[[], None]] = {
            "operator killed": lambda: self._ended(self._operator, signal.SIGKILL),
            "operator restarted": lambda: self._ended(self._operator, signal.SIGTERM),
            "gateway killed": lambda: self._ended(self._gateway, signal.SIGKILL),
            "gateway restarted": lambda: self._ended(self._gateway, signal.SIGTERM),
        }
        others: dict[str, Callable[[], None]] = {
            "watches cut": self._cut_watches,
            "watches cut for too long": self._miss_watches,
            "API errors for the operator": lambda: self._api_errors("operator"),
            "API errors for the gateway": lambda: self._api_errors("gateway"),
            "OpenMetadata refuses": lambda: self._refuse(self._chance.choice((500, 503, 401))),
            "OpenMetadata cut off": lambda: self._refuse(0),
        }
        faults, weights = ends | others, [self._ends_of_programs] * len(ends) + [1.0] * len(others)
        try:
            while not self._stopped.wait(self._mean_pause_seconds * self._chance.uniform(0.5, 1.5)):
                (name,) = self._chance.choices(list(faults), weights)
                self.injected[name] += 1
                self.is_disturbed.set()
                faults[name]()
                self.is_disturbed.clear()
        except Exception as error:  # noqa: BLE001  the soak must report any error
            self.failure = error

    def _last(self) -> None:
        """Let the fault last, at most half as long as things are well on average: nothing is waited for."""
        self._stopped.wait(self._chance.uniform(_SHORTEST_SECONDS, self._mean_pause_seconds / 2))

    def _ended(self, program: Program[Any], how: signal.Signals) -> None:
        program.end(how)
        try:
            self._last()
        finally:
            program.start()

    def _cut_watches(self) -> None:
        self._proxies["operator"].cut_watches()

    def _miss_watches(self) -> None:
        """Cut the watches, and make each list again, as after a restart of the API server."""
        proxy = self._proxies["operator"]
        with ExitStack() as stack:
            for kind in WATCHED:
                stack.enter_context(proxy.failing(Rule(Fault("gone"), target=f"/{kind.plural}[?].*watch=true")))
            proxy.cut_watches()
            self._last()

    def _api_errors(self, whose: str) -> None:
        """Let calls fail, all of them or every one of a method."""
        method = self._chance.choice((".*", "GET", "PATCH", "POST|DELETE"))
        rule = Rule(self._chance.choice(_OUTCOMES), method=method, target=_NOT_WATCHES, times=None)
        with self._proxies[whose].failing(rule):
            self._last()

    def _refuse(self, status: int) -> None:
        self._fake_server.set_faults({"path": "^/api/", "status": status, "times": None})
        try:
            self._last()
        finally:
            self._fake_server.clear_faults()
