"""One replica of the operator: its components, start, leadership and shutdown."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Final

from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.adapters.kube.log_follower import KubernetesLogFollower
from ingestion_operator.adapters.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.adapters.openmetadata.status_sink import OpenMetadataStatusSink
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.settings import load_settings
from ingestion_operator.cache import Cache
from ingestion_operator.controller.handlers import CacheEvents, SyncedScopes
from ingestion_operator.controller.http_server import serve_health_and_metrics
from ingestion_operator.controller.kopf_thread import KopfThread
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.controller.tracing import HEADERS_VARIABLE, TraceExporter
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.logs.archiver import LogArchiver
from ingestion_operator.logs.run_tails import RunLogTails
from ingestion_operator.reconcile.reconciler import PipelineReconciler
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.health import Health, TaskSupervisor
from ingestion_operator.runtime.heartbeat import renew_heartbeats
from ingestion_operator.runtime.leader_election import LeaderElector, exit_immediately, replica_identity
from ingestion_operator.runtime.settings_file import SettingsFile
from ingestion_operator.runtime.workqueue import WORKERS, WorkQueue

_logger = logging.getLogger(__name__)

_LEASE_CALL_SECONDS: Final = (2.0, 3.0)
"""Connect and read timeout: a slower renewal would be too late."""

_SETTINGS_SECONDS: Final = 5.0
_SYNC_SECONDS: Final = 0.1
_REPORTS_SECONDS: Final = 0.25
"""Between two checks, in memory, for reports that can be sent now."""

_IN_FLIGHT_SECONDS: Final = 26.0
"""How long a shutdown waits for calls in flight: more than each call's timeout, less than the pod's grace period."""

_ARCHIVE_SECONDS: Final = 12.0
"""How long it then waits for the log archive to flush."""


class Operator:
    """The components of one replica."""

    def __init__(self, settings_path: Path, namespaces: Collection[str], kubeconfig: str | None) -> None:
        """Create the components. Raises OperatorError for invalid settings, or without access to a cluster."""
        self._settings = SettingsFile(settings_path, load_settings(settings_path))
        self._namespaces = sorted(namespaces)
        self._kubeconfig = kubeconfig
        self._clock = ServerClock(SystemClock())
        self._metrics = OperatorMetrics()
        self._health = Health()
        self._tasks = TaskSupervisor(self._health)
        self._is_ending = False
        # One connection for each worker and one for the Lease: a further one would be closed after each call.
        self._api = connect(read_configuration(kubeconfig), pool_size=WORKERS + 1)
        lease_cluster = KubernetesCluster(
            self._api,
            timeout_seconds=_LEASE_CALL_SECONDS,
            attempts=1,
            clock=self._clock,
            observe=self._metrics.count_api_call,
        )
        # The release's own namespace: a watched namespace may be deleted.
        self._lease_namespace = os.environ.get("POD_NAMESPACE") or (self._namespaces or ["default"])[0]
        self._elector = LeaderElector(lease_cluster, self._lease_namespace, replica_identity(), self._clock)
        self._cluster = KubernetesCluster(
            self._api, clock=self._clock, observe=self._metrics.count_api_call, may_write=self._may_write
        )
        self._session = ApiSession(kubeconfig, clock=self._clock)
        self._cache = Cache(self._session, self._namespaces or [""])
        self._tracer = TraceExporter(
            self._settings.current, self._clock, self._metrics.count_spans, os.environ.get(HEADERS_VARIABLE, "")
        )
        self._reporter, self._versions, self._queue = self._build()
        self._archiver: LogArchiver | None = None
        self._follower: KubernetesLogFollower | None = None
        CacheEvents(self._cache.store, self._queue, lambda: self._archiver, self._queue.forget)
        self._scopes = SyncedScopes(self._cache.store, self._queue)

    def _may_write(self) -> bool:
        return self._elector.may_write and not self._is_ending

    def _build(self) -> tuple[Reporter, ServerVersions, WorkQueue]:
        settings, metrics = self._settings, self._metrics
        archive = settings.current().log_archive
        self._store = (
            ObjectStore(archive.url, create=True, written=metrics.count_archived_bytes) if archive is not None else None
        )
        tails = RunLogTails(KubernetesPodLogs(self._api), self._store)
        sink = OpenMetadataStatusSink()
        reporter = Reporter(self._cluster, sink, settings.current, self._clock, tails, may_write=self._may_write)
        versions = ServerVersions(sink.version)
        reconciler = PipelineReconciler(
            self._cluster,
            self._cache.store,
            settings.current,
            self._clock,
            reporter,
            observers=(metrics, self._tracer),
            versions=versions,
        )
        queue = WorkQueue(
            metrics.timed(reconciler.reconcile),
            self._clock,
            heartbeat=self._health.loop("queue"),
            observer=metrics.queue,
        )
        metrics.keep_existing(lambda key: self._cache.store.pipeline(key) is not None)
        metrics.follow_cache(self._cache.ages)
        metrics.follow_queue(lambda: queue.depth, lambda: queue.processing)
        return reporter, versions, queue

    async def run(self, liveness_url: str | None) -> int:
        """Run as standby and leader until a signal; return the exit code."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = (
            await serve_health_and_metrics(liveness_url, self._health.problems, self._metrics.text)
            if liveness_url
            else None
        )
        kopf_thread = KopfThread(self._kubeconfig, self._namespaces, self._queue)
        try:
            self._health.check(lambda: "; ".join(self._cache.problems()))
            # Also on standby: a replica that takes over has its caches synced.
            self._tasks.start("cache", self._cache.run())
            self._tasks.start("lease", self._elector.run(
                lost=exit_immediately, changed=self._leads, heartbeat=self._health.loop("lease")
            ), may_end=True)  # fmt: skip
            leading = asyncio.create_task(self._lead(kopf_thread))
            stopping = asyncio.create_task(stop.wait())
            failed = asyncio.create_task(kopf_thread.wait_until_ended())
            await asyncio.wait({leading, stopping, failed}, return_when=asyncio.FIRST_COMPLETED)
            if leading.done() and not leading.cancelled() and (error := leading.exception()):
                raise error
            if stop.is_set():
                _logger.info("The operator stops: it received a signal")
            else:
                _logger.error("The operator stops: kopf ended unexpectedly")
            await self._end(kopf_thread, [leading, stopping, failed])
            return 0 if stop.is_set() else 1
        finally:
            await asyncio.to_thread(self._tracer.close)
            if server is not None:
                await server.cleanup()

    def _leads(self, leads: bool) -> None:
        self._metrics.set_leader(leads)
        if leads:
            if self._cache.store.synced_scopes():  # else the first lists are in progress
                self._cache.relist()
            self._scopes.forget()  # each is enqueued once it is synced again, since failed pipelines are in back-off

    async def _lead(self, kopf_thread: KopfThread) -> None:
        """Wait for the Lease, then start all writers."""
        await self._elector.wait_until_leading()
        self._start_archiver()
        self._health.watch(self._queue.threads)
        others = [namespace for namespace in self._namespaces if namespace != self._lease_namespace]
        heartbeats = renew_heartbeats(self._cluster, others, self._clock, self._may_write)
        self._tasks.start("queue", self._queue.run(), may_end=True)
        self._tasks.start("settings", self._follow_settings(self._health.loop("settings")))
        self._tasks.start("servers", self._follow_servers(self._health.loop("servers")))
        self._tasks.start("synced scopes", self._enqueue_synced(kopf_thread))
        self._tasks.start("heartbeats", heartbeats, may_end=not others)
        await asyncio.Event().wait()

    def _start_archiver(self) -> None:
        """Start the log archiver. Its store comes from the settings at the start: a change needs a restart."""
        first = self._settings.current().log_archive
        if self._store is None or first is None:
            return
        self._follower = KubernetesLogFollower(self._kubeconfig)

        def retention() -> timedelta:
            return timedelta(seconds=duration_seconds((self._settings.current().log_archive or first).retention))

        archiver = self._archiver = LogArchiver(
            self._store, self._follower, self._clock, retention, may_write=lambda: self._elector.may_write
        )
        for pod in self._cache.store.pods():
            archiver.observe(pod)
        self._tasks.start("archive", archiver.run())
        self._metrics.follow_archive(lambda: archiver.streams, lambda: archiver.waiting)
        self._health.watch(archiver.threads)

    async def _end(self, kopf_thread: KopfThread, tasks: Collection[asyncio.Task[object]]) -> None:
        """Stop the queue, wait for calls in flight, flush the archive and release the Lease."""
        self._is_ending = True  # calls in flight end at their next write
        for task in tasks:
            task.cancel()
        kopf_thread.stop()
        has_ended = await self._queue.shutdown(_IN_FLIGHT_SECONDS)
        late = await self._tasks.stop(_ARCHIVE_SECONDS)
        await self._session.close()
        if self._follower is not None:
            await self._follower.close()
        if not has_ended or late:
            # No release: another replica leads once the Lease has expired, and by then the fence stops all writes here.
            _logger.error("Writers did not stop in time (%s): the process exits", ", ".join(late) or "reconciliations")
            exit_immediately()
        await asyncio.to_thread(self._elector.release)

    async def _follow_settings(self, heartbeat: Callable[[], None]) -> None:
        """Enqueue every pipeline when the settings have changed, since images and pod templates depend on them."""
        known = self._settings.current()
        while True:
            heartbeat()
            await asyncio.sleep(_SETTINGS_SECONDS)
            if (current := self._settings.current()) is not known:
                known = current
                self._scopes.enqueue()

    async def _follow_servers(self, heartbeat: Callable[[], None]) -> None:
        """Enqueue pipelines whose server accepts reports again, or whose server's version is known now."""
        while True:
            heartbeat()
            await asyncio.sleep(_REPORTS_SECONDS)
            for namespace, name in [*self._reporter.due(), *self._versions.due()]:
                self._queue.add(PipelineKey(namespace, name))

    async def _enqueue_synced(self, kopf_thread: KopfThread) -> None:
        """Enqueue newly synced scopes. At the first one start kopf, which checks only once whether the CRD exists."""
        while True:
            if self._scopes.enqueue_new() and not kopf_thread.has_started:
                kopf_thread.start()
            await asyncio.sleep(_SYNC_SECONDS)


def run_operator(
    *, settings_path: Path, namespaces: Collection[str], kubeconfig: str | None, liveness: str | None
) -> int:
    """Run until a signal; return the exit code. Empty `namespaces` mean the whole cluster.

    Raises:
        Rejected: The settings are invalid.
        ClusterError: No cluster is configured.
    """
    operator = Operator(settings_path, namespaces, kubeconfig)
    _logger.info("The operator starts for %s", ", ".join(namespaces) or "all namespaces")
    with contextlib.suppress(asyncio.CancelledError):
        return asyncio.run(operator.run(liveness))
    return 1
