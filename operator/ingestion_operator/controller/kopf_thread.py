"""kopf in a thread and an event loop of its own, where its failures cannot become the operator's.

kopf is the framework of the custom resource: it starts and stops its handlers, logs in, and watches IngestionPipelines.
In the main event loop it would cancel every task at its end, and as process 1 of a container its last resort, SIGKILL
to itself, does nothing.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Final, cast

import kopf

from ingestion_operator import constants
from ingestion_operator.adapters.kube.credentials import read_login
from ingestion_operator.adapters.kube.kopf_session import kopf_session
from ingestion_operator.controller.handlers import register
from ingestion_operator.controller.kopf_overrides import NoDifferences, NoMemories
from ingestion_operator.runtime.workqueue import WorkQueue

_logger = logging.getLogger(__name__)

_FIRST_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_LAST_PAUSE: Final = 5.0


class EndlessBackoffs:
    """Pauses between tries, without an end: kopf gives up where a finite list ends."""

    def __iter__(self) -> Iterator[float]:
        """Yield seconds, with jitter."""
        for pause in _FIRST_PAUSES:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311  jitter
        while True:
            yield _LAST_PAUSE * random.uniform(0.8, 1.2)  # noqa: S311  jitter


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what differs from kopf's defaults."""
    settings.watching.server_timeout = 300  # an int in text form; load balancers drop idle watches after minutes
    settings.watching.client_timeout = 310  # a little longer than the server's, so that the server ends it
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.posting.enabled = False  # Events are ours, after the status is written
    settings.scanning.disabled = True  # no permissions on CRDs and namespaces of the whole cluster
    settings.peering.standalone = True  # the Lease elects the leader; peering is no lock
    settings.persistence.diffbase_storage = NoDifferences()
    settings.queueing.idle_timeout = 0.05  # a task and a timer for each object that had an event
    settings.process.ultimate_exiting_timeout = None  # the process ends in order, or by the kubelet


class KopfThread:
    """Runs `kopf.operator` until `stop`, and reports its end."""

    def __init__(self, kubeconfig: str | None, namespaces: Collection[str], queue: WorkQueue) -> None:
        self._kubeconfig = kubeconfig
        self._namespaces = namespaces
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    @property
    def has_started(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    def stop(self) -> None:
        """Ask kopf to end; it only enqueues, so nobody has to wait for it."""
        self._stop.set()

    async def wait_until_ended(self) -> None:
        """Return when kopf has ended, for whatever reason."""
        await self._ended.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except BaseException:  # the thread's last catch: the main loop ends the process
            _logger.exception("kopf has ended with an error")
        finally:
            try:
                self._loop.call_soon_threadsafe(self._ended.set)
            except RuntimeError:
                _logger.debug("kopf ends after the main event loop")

    async def _operate(self) -> None:
        registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        configure(settings)
        register(registry, self._queue)

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            read = partial(read_login, self._kubeconfig)
            found = await asyncio.to_thread(read)
            return kopf.AiohttpSession(server=found.server, aiohttp_session=kopf_session(read, constants.PLURAL))

        await kopf.operator(
            registry=registry,
            settings=settings,
            memories=NoMemories(),
            namespaces=self._namespaces,
            clusterwide=not self._namespaces,
            standalone=True,
            stop_flag=self._stop,
            # Else kopf asks for the user's name, which an arbitrary numeric user does not have.
            identity=cast("Any", constants.MANAGED_BY),
        )
