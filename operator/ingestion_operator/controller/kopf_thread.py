"""kopf in its own thread and event loop, so that its failures cannot break the operator.

kopf runs the handlers of the custom resource, logs in, and watches IngestionPipelines. In the main event loop it would
cancel every task when it ends. Its last resort is SIGKILL to its own process, which has no effect on process 1 of a
container.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Final, cast

import kopf

from ingestion_operator import constants
from ingestion_operator.adapters.kube.credentials import read_credentials
from ingestion_operator.adapters.kube.kopf_session import kopf_session
from ingestion_operator.controller.handlers import register
from ingestion_operator.controller.kopf_overrides import EphemeralMemories, NullDiffBaseStorage
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.workqueue import WorkQueue

_logger = logging.getLogger(__name__)

_RETRY: Final = Backoff(first=0.6, last=6.0, jitter=1 / 3)


class EndlessBackoffs:
    """Pauses between attempts, without an end: kopf stops after the last pause of a finite list."""

    def __iter__(self) -> Iterator[float]:
        """Return the pauses in seconds."""
        return (_RETRY.delay(failures) for failures in itertools.count(1))


def configure(settings: kopf.OperatorSettings) -> None:
    """Change kopf's defaults."""
    settings.watching.server_timeout = (
        300  # an int: kopf sends it as text; load balancers drop idle watches after minutes
    )
    settings.watching.client_timeout = 310  # longer than the server's, so that the server ends the watch
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.posting.enabled = False  # the operator posts its own Events after it wrote the status
    settings.scanning.disabled = True  # no permissions on CRDs and namespaces of the whole cluster
    settings.peering.standalone = True  # the Lease elects the leader; peering is not a lock
    settings.persistence.diffbase_storage = NullDiffBaseStorage()
    settings.queueing.idle_timeout = 0.05  # each object with an event has a task and a timer until then
    settings.process.ultimate_exiting_timeout = None  # the operator or the kubelet ends the process


class KopfThread:
    """Runs `kopf.operator` until `stop`."""

    def __init__(self, kubeconfig: str | None, namespaces: Collection[str], queue: WorkQueue) -> None:
        self._kubeconfig = kubeconfig
        self._namespaces = namespaces
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Start kopf."""
        self._thread.start()

    @property
    def has_started(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    def stop(self) -> None:
        """Request the end of kopf. No wait is needed, since kopf only enqueues."""
        self._stop.set()

    async def wait_until_ended(self) -> None:
        """Return when kopf has ended, for any reason."""
        await self._ended.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except BaseException:  # last handler of the thread: the main loop stops the process
            _logger.exception("kopf ended with an error")
        finally:
            try:
                self._loop.call_soon_threadsafe(self._ended.set)
            except RuntimeError:
                _logger.debug("kopf ended after the main event loop")

    async def _operate(self) -> None:
        registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        configure(settings)
        register(registry, self._queue)

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            read = partial(read_credentials, self._kubeconfig)
            found = await asyncio.to_thread(read)
            return kopf.AiohttpSession(server=found.server, aiohttp_session=kopf_session(read, constants.PLURAL))

        await kopf.operator(
            registry=registry,
            settings=settings,
            memories=EphemeralMemories(),
            namespaces=self._namespaces,
            clusterwide=not self._namespaces,
            standalone=True,
            stop_flag=self._stop,
            # Without it kopf reads the user's name, which an arbitrary numeric user does not have.
            identity=cast("Any", constants.MANAGED_BY),
        )
