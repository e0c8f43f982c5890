"""The last lines of runs' logs, for reports."""

import logging
from typing import Final

from ingestion_operator.api.status import Run
from ingestion_operator.errors import ClusterError, StoreError
from ingestion_operator.k8s.naming import cronjob_name
from ingestion_operator.logs.layout import AttemptKey, RunKey
from ingestion_operator.logs.tail import LogTail
from ingestion_operator.ports import LogStore, PodLogs

_logger = logging.getLogger(__name__)

_LINES: Final = 60


class RunLogTails:
    """Implements the port LogTails: reads from existing pods, otherwise from the archive if there is one."""

    def __init__(self, logs: PodLogs, store: LogStore | None = None) -> None:
        self._tail = LogTail(logs, store)

    def tail(self, run: Run, namespace: str, pipeline: str) -> str:
        """Return the last lines of a run's last attempt; empty if they cannot be read."""
        if not run.attempts:
            return ""
        attempt = AttemptKey(RunKey(namespace, cronjob_name(pipeline), run.id), run.attempts[-1].pod)
        try:
            return self._tail.read(attempt, _LINES).rstrip("\n")
        except (ClusterError, StoreError) as error:
            _logger.warning(
                "Pipeline %s/%s: the log of pod %s is missing in a report: %s", namespace, pipeline, attempt.pod, error
            )
            return ""
