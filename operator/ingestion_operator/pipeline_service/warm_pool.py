"""The warm pool: pods that have imported the library and wait, each for one automation.

Every pod is a Job with a Secret of its own, as any automation is. Nothing else remembers the pool: each replica of
the gateway looks at the Jobs, keeps the pool full, and takes from it. Whatever goes wrong before a pod was told to
begin, the automation gets a Job of its own instead.
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
from ingestion_operator.ports import JOBS, PODS, SECRETS, Clock, ClusterApi, HandOver
from ingestion_operator.render.warm import WARM_POOL_LABELS, is_for, warm_fingerprint, warm_job

_logger = logging.getLogger(__name__)

_END_SECONDS: Final = 3.0
_END_LOOKS: Final = 10
"""How long, and how often looked at, a pod may take to end that may have begun: OpenMetadata's dialog waits."""


class WarmPool:
    """The pool of one namespace; may be shared by threads."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        hand_over: HandOver,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._hand_over = hand_over
        self._sleep = sleep
        self._may_have_jobs = True
        self._wanted = threading.Event()

    def take(self, workflow: Mapping[str, Any]) -> str | None:
        """Let a warm pod carry out an automation and return the run's id; None: it needs a Job of its own.

        Raises Rejected as `automation_job` does; ClusterError when a pod may have begun and cannot be stopped.
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
            _logger.warning("No warm pod can be had: %s", error)
            return None
        if chosen is None:
            _logger.info("No warm pod is ready: the automation gets a Job of its own")
            return None
        self._wanted.set()
        return self._give(*chosen, secret[constants.AUTOMATION_KEY])

    def keep_full(self) -> None:
        """Make what is missing and retire what is outdated, also of a pool that is no longer wanted.

        Raises ClusterError; Rejected as rendering does.
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
        """Return after so long, or as soon as a pod has been taken."""
        self._wanted.wait(seconds)
        self._wanted.clear()

    def wake(self) -> None:
        """End the waiting."""
        self._wanted.set()

    def _choose(self, entity_name: str, fingerprint: str) -> tuple[WarmJob, str, dict[str, str]] | None:
        """Make a Job ours that is ready, and return it with its pod's address and credentials."""
        jobs = warm_slots.read(self._cluster.list(JOBS, self._namespace, WARM_POOL_LABELS))
        pods = self._cluster.list(PODS, self._namespace, WARM_POOL_LABELS) if jobs else []
        for job, address in warm_slots.takeable(jobs, pods, fingerprint, self._now()):
            patch = warm_slots.take_patch(job, entity_name, AUTOMATION_SECONDS, self._now())
            try:
                self._patch(job, patch)
            except (Conflict, NotFound):
                continue  # another replica was faster, or the pod has just gone
            secret = self._cluster.get(SECRETS, self._namespace, job.name) or {}
            data = {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
            return job, address, data
        return None

    def _give(self, job: WarmJob, address: str, credentials: Mapping[str, str], document: str) -> str | None:
        result = self._hand_over.give(address, job.name, credentials, document)
        if result == "taken":
            _logger.info("The automation was given to the warm pod of Job %s", job.name)
            return job.run_id
        _logger.warning("Job %s: handing over an automation ended as %s; another Job gets it", job.name, result)
        stop = {"spec": {"activeDeadlineSeconds": 1}}
        if result == "refused":
            # It was not told to begin, so it never will: stopping it only tidies up, and its deadline would.
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
        for _ in range(_END_LOOKS):
            live = self._cluster.get(JOBS, self._namespace, job.name)
            if live is None or warm_slots.has_ended(live):
                return
            self._sleep(_END_SECONDS / _END_LOOKS)

    def _retire(self, job: WarmJob) -> None:
        # By its deadline, which needs no right to delete; and at once out of sight, since it did nothing.
        patch = {
            "metadata": {"resourceVersion": job.resource_version},
            "spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0},
        }
        try:
            self._patch(job, patch)
        except (Conflict, NotFound):
            return  # it has been taken, or has gone: the next round shows it
        _logger.info("Job %s of the warm pool is no longer wanted", job.name)

    def _create(self, name: str, slot: int, settings: Settings) -> None:
        job = warm_job(name, slot, str(uuid.uuid4()), self._namespace, settings)
        try:
            create_with_secret(self._cluster, self._namespace, job, self._hand_over.credentials(name))
        except Conflict:
            return  # another replica has made it
        _logger.info("Job %s waits for an automation", name)

    def _patch(self, job: WarmJob, patch: dict[str, Any]) -> None:
        self._cluster.merge_patch(JOBS, self._namespace, job.name, patch, field_manager=constants.CLIENT_FIELD_MANAGER)

    def _now(self) -> datetime:
        return self._clock.now()
