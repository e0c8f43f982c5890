"""The operator's sign of life: a Lease, renewed from the same event loop that its queue runs in.

A loop that hangs renews nothing, and so does a process without a working API server.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import LEASES, Clock, ClusterApi

_logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 10
DURATION_SECONDS: Final = 30
"""How long a Lease counts after its renewal: two renewals may fail."""


async def beat(cluster: ClusterApi, namespaces: Collection[str], clock: Clock, is_alive: Callable[[], bool]) -> None:
    """Renew the Lease in each namespace while `is_alive`, until cancelled. A renewal that fails is repeated."""
    while is_alive():
        for namespace in namespaces:
            lease = lease_body(namespace, clock.now())
            try:
                await asyncio.to_thread(cluster.apply, LEASES, lease, field_manager=constants.FIELD_MANAGER)
            except ClusterError as error:
                _logger.warning("Lease %s/%s was not renewed: %s", namespace, constants.LEASE_NAME, error)
        await asyncio.sleep(RENEW_SECONDS)


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
