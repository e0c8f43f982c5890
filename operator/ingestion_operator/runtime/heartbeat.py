"""Heartbeats in further namespaces: a Lease in each, which elects no leader.

The gateway reads the Lease before it accepts a run. The event loop that dispatches the work queue renews it: a loop
that hangs renews nothing, and neither does a process that cannot reach the API server.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from ingestion_operator import constants
from ingestion_operator.k8s.objects import Body
from ingestion_operator.ports import LEASES, Clock, ClusterWriter
from ingestion_operator.runtime.problem_log import ProblemLog
from ingestion_operator.runtime.thread_pool import MonitoredThreadPool

_logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 10.0
DURATION_SECONDS: Final = 30
"""How long a Lease is valid after its renewal: two renewals may fail."""

_MAX_THREADS: Final = 4


async def renew_heartbeats(
    cluster: ClusterWriter,
    namespaces: Collection[str],
    clock: Clock,
    is_alive: Callable[[], bool],
    *,
    seconds: float = RENEW_SECONDS,
) -> None:
    """Renew the Lease in each namespace every `seconds` while `is_alive`, until cancelled.

    Each namespace has its own loop: a namespace that is slow, forbidden or deleted does not delay the others.
    """
    threads = MonitoredThreadPool(max(1, min(len(namespaces), _MAX_THREADS)), "heartbeat")
    try:
        async with asyncio.TaskGroup() as group:
            for namespace in namespaces:
                group.create_task(_renew_one(cluster, namespace, clock, is_alive, threads, seconds))
    finally:
        threads.shutdown(wait=False)


async def _renew_one(
    cluster: ClusterWriter,
    namespace: str,
    clock: Clock,
    is_alive: Callable[[], bool],
    threads: MonitoredThreadPool,
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


def lease_body(namespace: str, now: datetime) -> Body:
    """Return the Lease to apply."""
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
