"""The sign of life in further namespaces: a Lease in each that elects no leader.

The gateway reads it before it promises that a run will start. It is renewed from the event loop that the work queue is
dispatched in, so a loop that hangs renews nothing, and neither does a process without an API server.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.ports import LEASES, Clock, ClusterApi
from ingestion_operator.runtime.problem_log import ProblemLog
from ingestion_operator.runtime.thread_pool import WatchedThreads

_logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 10.0
DURATION_SECONDS: Final = 30
"""How long a Lease counts after its renewal: two renewals may fail."""

_MOST_THREADS: Final = 4


async def renew_heartbeats(
    cluster: ClusterApi,
    namespaces: Collection[str],
    clock: Clock,
    is_alive: Callable[[], bool],
    *,
    seconds: float = RENEW_SECONDS,
) -> None:
    """Renew the Lease in each namespace every `seconds` while `is_alive`, until cancelled.

    Each namespace has a loop of its own: one that is slow, forbidden or deleted delays no other.
    """
    threads = WatchedThreads(max(1, min(len(namespaces), _MOST_THREADS)), "heartbeat")
    try:
        async with asyncio.TaskGroup() as group:
            for namespace in namespaces:
                group.create_task(_renew_one(cluster, namespace, clock, is_alive, threads, seconds))
    finally:
        threads.shutdown(wait=False)


async def _renew_one(
    cluster: ClusterApi,
    namespace: str,
    clock: Clock,
    is_alive: Callable[[], bool],
    threads: WatchedThreads,
    seconds: float,
) -> None:
    log = ProblemLog(_logger, repeat_seconds=float("inf"))
    name = f"Lease {namespace}/{constants.LEASE_NAME}"

    def renew() -> None:
        cluster.apply(LEASES, lease_body(namespace, clock.now()), field_manager=constants.FIELD_MANAGER)

    while True:
        if is_alive():
            try:
                await asyncio.get_running_loop().run_in_executor(threads, renew)
                log.succeeded(f"{name} is renewed again")
            except Exception as error:  # noqa: BLE001  no error of one namespace may stop the others
                log.failed(f"{name} was not renewed", error)
        await asyncio.sleep(seconds)


def lease_body(namespace: str, now: datetime) -> dict[str, Any]:
    """Return the Lease as it is to be applied."""
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {
            "name": constants.LEASE_NAME,
            "namespace": namespace,
            "labels": {constants.LABEL_MANAGED_BY: constants.MANAGED_BY},
        },
        "spec": {
            "holderIdentity": os.environ.get("POD_NAME") or socket.gethostname(),
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
        },
    }
