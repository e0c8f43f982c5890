"""Starting what belongs to no pipeline: a Job of its own and the Secret with its document.

Order of writes: the Job, then its Secret, which the Job owns. The pod waits for the Secret, for moments. After a
crash in between, the Job's deadline or its pod's failure to start ends it, its time to live removes it, and what
was secret was never written: nothing is left to clean up.
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
        """Start what `read` makes of a new run id, and return it.

        Raises Rejected as `read` and rendering do; ClusterError when the Job or its Secret cannot be written: the
        Job then ends by itself.
        """
        one_off, secret = read(str(uuid.uuid4()))
        create_with_secret(
            self._cluster, self._namespace, one_off_job(one_off, self._namespace, self._settings()), secret
        )
        return one_off


def create_with_secret(cluster: ClusterApi, namespace: str, job: dict[str, Any], secret: Mapping[str, str]) -> None:
    """Create a Job, and the Secret of its name with what its pod reads. Raises ClusterError."""
    created = cluster.create(JOBS, job, field_manager=constants.CLIENT_FIELD_MANAGER)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            SecretStore(cluster, namespace).ensure(job["metadata"]["name"], secret, job_owner(created))
            break
        except ClusterError as error:
            if attempt == _ATTEMPTS or not isinstance(error, Unavailable):
                raise
