"""The warm pool: pods that have imported the library, and wait for one automation each.

Each pod has a Job and a Secret, as any automation. The Jobs are the only state of the pool: each replica of the gateway
lists them, keeps the pool full and takes pods from it. If anything fails before a pod got the command to start, the
automation gets a new Job instead.
"""

import base64
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import ClusterError, Conflict, NotFound
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.pipeline_service import warm_slots
from ingestion_operator.pipeline_service.one_off_documents import AUTOMATION_SECONDS, automation_job
from ingestion_operator.pipeline_service.one_off_starter import create_with_secret
from ingestion_operator.pipeline_service.warm_slots import WarmJob
from ingestion_operator.ports import JOBS, PODS, SECRETS, Clock, ClusterApi, WarmPodConnection
from ingestion_operator.render.warm import WARM_POOL_LABELS, is_for, warm_fingerprint, warm_job

_logger = logging.getLogger(__name__)

_END_SECONDS: Final = 3.0
_END_CHECKS: Final = 10
"""How long to wait, with how many checks, for the end of a pod that may have started: OpenMetadata's dialog waits."""


class WarmPool:
    """The pool of one namespace; may be shared by threads."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        connection: WarmPodConnection,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._connection = connection
        self._sleep = sleep
        self._may_have_jobs = True
        self._missing = threading.Event()

    def take(self, workflow: Mapping[str, Any]) -> str | None:
        """Run an automation in a warm pod and return the run's id, or None if it needs a new Job.

        Raises:
            Rejected: See `automation_job`.
            ClusterError: A pod may have started the automation and cannot be stopped.
        """
        settings = self._settings()
        if not settings.warm_automations:
            return None
        automation, secret = automation_job(workflow, "")
        if not is_for(settings, automation):
            return None
        try:
            chosen = self._choose(automation.entity_name, warm_fingerprint(settings))
        except ClusterError as error:
            _logger.warning("No warm pod is available: %s", error)
            return None
        if chosen is None:
            _logger.info("No warm pod is ready: the automation gets a new Job")
            return None
        self._missing.set()
        return self._hand_over(*chosen, secret[constants.AUTOMATION_KEY])

    def keep_full(self) -> None:
        """Create missing Jobs and retire outdated ones, also after the pool was disabled.

        Raises:
            ClusterError: The API server failed.
            Rejected: The Jobs cannot be rendered.
        """
        settings = self._settings()
        if not settings.warm_automations and not self._may_have_jobs:
            return
        jobs = warm_slots.read(self._cluster.list(JOBS, self._namespace, WARM_POOL_LABELS))
        limit = timedelta(seconds=duration_seconds(settings.start_timeout))
        plan = warm_slots.plan(jobs, settings.warm_automations, warm_fingerprint(settings), limit, self._now())
        for job in plan.retire:
            self._retire(job)
        for slot, name in plan.create:
            self._create(name, slot, settings)
        self._may_have_jobs = settings.warm_automations > 0 or any(job.is_waiting for job in jobs)

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as a pod was taken."""
        self._missing.wait(seconds)
        self._missing.clear()

    def wake(self) -> None:
        """End the wait."""
        self._missing.set()

    def _choose(self, entity_name: str, fingerprint: str) -> tuple[WarmJob, str, dict[str, str]] | None:
        """Claim a ready Job, and return it with the address and credentials of its pod."""
        jobs = warm_slots.read(self._cluster.list(JOBS, self._namespace, WARM_POOL_LABELS))
        pods = self._cluster.list(PODS, self._namespace, WARM_POOL_LABELS) if jobs else []
        for job, address in warm_slots.claimable(jobs, pods, fingerprint, self._now()):
            patch = warm_slots.claim_patch(job, entity_name, AUTOMATION_SECONDS, self._now())
            try:
                self._patch(job, patch)
            except (Conflict, NotFound):
                continue  # another replica was faster, or the Job was just deleted
            secret = self._cluster.get(SECRETS, self._namespace, job.name) or {}
            data = {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
            return job, address, data
        return None

    def _hand_over(self, job: WarmJob, address: str, credentials: Mapping[str, str], document: str) -> str | None:
        result = self._connection.send(address, job.name, credentials, document)
        if result == "taken":
            _logger.info("The warm pod of Job %s runs the automation", job.name)
            return job.run_id
        _logger.warning("Job %s: the handover of an automation ended as %s; a new Job runs it", job.name, result)
        stop = {"spec": {"activeDeadlineSeconds": 1}}
        if result == "refused":
            # It got no command to start, so it will not start. The stop only cleans up earlier than its deadline.
            try:
                self._patch(job, stop)
            except ClusterError as error:
                _logger.info("Job %s cannot be stopped: %s", job.name, error)
            return None
        with contextlib.suppress(NotFound):
            self._patch(job, stop)
            self._wait_for_end(job)
        return None

    def _wait_for_end(self, job: WarmJob) -> None:
        for _ in range(_END_CHECKS):
            live = self._cluster.get(JOBS, self._namespace, job.name)
            if live is None or warm_slots.has_ended(live):
                return
            self._sleep(_END_SECONDS / _END_CHECKS)

    def _retire(self, job: WarmJob) -> None:
        # With its deadline, which needs no permission to delete; and without a TTL, since it did nothing.
        patch = {
            "metadata": {"resourceVersion": job.resource_version},
            "spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0},
        }
        try:
            self._patch(job, patch)
        except (Conflict, NotFound):
            return  # it was taken or deleted: the next pass sees that
        _logger.info("Retired Job %s of the warm pool", job.name)

    def _create(self, name: str, slot: int, settings: Settings) -> None:
        job = warm_job(name, slot, str(uuid.uuid4()), self._namespace, settings)
        try:
            create_with_secret(self._cluster, self._namespace, job, self._connection.credentials(name))
        except Conflict:
            return  # another replica has created it
        _logger.info("Job %s waits for an automation", name)

    def _patch(self, job: WarmJob, patch: dict[str, Any]) -> None:
        self._cluster.merge_patch(JOBS, self._namespace, job.name, patch, field_manager=constants.CLIENT_FIELD_MANAGER)

    def _now(self) -> datetime:
        return self._clock.now()
