"""Starts automations and applications without a pipeline: a Job, and a Secret with its document.

Order of writes: the Job, then its Secret, which the Job owns. The pod waits a moment for the Secret. After a crash in
between, the Job ends by its deadline or because its pod cannot start, and its TTL deletes it. The Secret was not
written, so nothing remains to clean up.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import ClusterError, Unavailable
from ingestion_operator.pipeline_service.secret_store import SecretStore, job_owner
from ingestion_operator.ports import JOBS, ClusterApi
from ingestion_operator.render.one_off import OneOff, one_off_job

_ATTEMPTS: Final = 3


class OneOffStarter:
    """Creates Jobs that run once, in one namespace."""

    def __init__(self, cluster: ClusterApi, namespace: str, settings: Callable[[], Settings]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings

    def start(self, read: Callable[[str], tuple[OneOff, dict[str, str]]]) -> OneOff:
        """Call `read` with a new run id, start the result and return it.

        Raises:
            Rejected: `read` or rendering rejected the document.
            ClusterError: The Job or its Secret could not be written. The Job then ends by itself.
        """
        one_off, secret = read(str(uuid.uuid4()))
        create_with_secret(
            self._cluster, self._namespace, one_off_job(one_off, self._namespace, self._settings()), secret
        )
        return one_off


def create_with_secret(cluster: ClusterApi, namespace: str, job: dict[str, Any], secret: Mapping[str, str]) -> None:
    """Create a Job, and a Secret with the same name and the data for its pod. Raises ClusterError."""
    created = cluster.create(JOBS, job, field_manager=constants.CLIENT_FIELD_MANAGER)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            SecretStore(cluster, namespace).ensure(job["metadata"]["name"], secret, job_owner(created))
            break
        except ClusterError as error:
            if attempt == _ATTEMPTS or not isinstance(error, Unavailable):
                raise
