"""The ends of runs' logs, for reports."""

import logging
from typing import Final

from ingestion_operator.errors import ClusterError, Invalid, NotFound
from ingestion_operator.models.status import Run
from ingestion_operator.ports import PodLogs

_logger = logging.getLogger(__name__)

_LINES: Final = 60


class PodLogTails:
    """Implements the port LogTails from the pods that are still there."""

    def __init__(self, logs: PodLogs) -> None:
        self._logs = logs

    def tail(self, run: Run, namespace: str, pipeline: str) -> str:
        """Return the last lines of a run's last attempt; a report without them is better than none."""
        if not run.attempts:
            return ""
        pod = run.attempts[-1].pod
        try:
            return self._logs.tail(namespace, pod, _LINES)
        except (NotFound, Invalid):
            return ""  # the pod is gone, or has never started
        except ClusterError as error:
            _logger.warning(
                "Pipeline %s/%s: the log of pod %s is missing in a report: %s", namespace, pipeline, pod, error
            )
            return ""
