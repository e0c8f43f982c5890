"""Starting the operator: kopf's settings, each with its reason, and the queue beside it."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import kopf

from ingestion_operator import constants
from ingestion_operator.archiving import LogArchiver
from ingestion_operator.controllers.election import end_at_once, hold, identity, stand_by
from ingestion_operator.controllers.forgetful import NoDifferences, NoMemories
from ingestion_operator.controllers.handlers import METADATA_ONLY, news_among_listed, register
from ingestion_operator.controllers.heartbeat import beat
from ingestion_operator.controllers.inventory import Inventory, follow_relists
from ingestion_operator.controllers.liveness import CALL_SECONDS, Liveness
from ingestion_operator.controllers.management import serve_management
from ingestion_operator.controllers.metrics import OperatorMetrics
from ingestion_operator.controllers.queue import WORKERS, RefreshQueue
from ingestion_operator.controllers.tracing import HEADERS_VARIABLE, TraceExporter
from ingestion_operator.errors import NotFound, Unavailable
from ingestion_operator.first_round import FirstSight, first_round
from ingestion_operator.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.kube.log_follower import KubernetesLogFollower
from ingestion_operator.kube.login import read_login
from ingestion_operator.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.kube.server_clock import ServerClock
from ingestion_operator.kube.watching import watch_session
from ingestion_operator.leadership import Leadership
from ingestion_operator.log_tails import RunLogTails
from ingestion_operator.object_store import ObjectStore
from ingestion_operator.openmetadata.status_sink import OpenMetadataStatusSink
from ingestion_operator.own_writes import OwnWrites
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi, LogFollower, LogStore, StatusObserver
from ingestion_operator.refresh import PipelineKey, Refresher
from ingestion_operator.reporter import Reporter
from ingestion_operator.schedule import duration_seconds
from ingestion_operator.server_versions import ServerVersions
from ingestion_operator.settings import LogArchiveSettings, load_settings
from ingestion_operator.settings_file import SettingsFile
from ingestion_operator.system_clock import SystemClock
from ingestion_operator.threads import WatchedThreads

_logger = logging.getLogger(__name__)


_WAIT_SECONDS: Final = 2
_LEASE_CALL_SECONDS: Final = (2.0, 3.0)
"""To connect and to read: a renewal that takes longer comes too late."""

_BACKOFF_SECONDS: Final = (0.5, 1, 1, 2, 2, 4, 4, 4)
_SETTINGS_SECONDS: Final = 5
_LISTED_SECONDS: Final = 15
"""A watch that lists nothing new for so long has listed everything."""

_REPORTS_SECONDS: Final = 0.25
"""Between two looks into memory for reports that can be delivered now; nothing is called for it."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what differs from kopf's defaults."""
    selector = constants.LABEL_PIPELINE
    for plural in ("cronjobs", "jobs", "pods"):
        # On the server: without it every Job and Pod of the namespace would be listed and kept.
        settings.watching.label_selectors[plural] = selector
    settings.watching.server_timeout = 300  # an int in text form; load balancers drop idle watches after minutes
    settings.watching.client_timeout = 310  # a little longer than the server's, so that the server ends it
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 100  # a list in pieces keeps the peak of memory low, and what stays of it
    settings.networking.request_timeout = 30
    # kopf's own pauses grow to 21 s: so long after the API server is back nobody would see how runs end.
    settings.networking.error_backoffs = [pause * random.uniform(0.8, 1.2) for pause in _BACKOFF_SECONDS]  # noqa: S311  jitter
    settings.posting.enabled = False  # Events are ours, after the status is written
    settings.scanning.disabled = True  # no rights on CRDs and namespaces of the whole cluster
    settings.peering.standalone = True  # the Lease elects who acts; peering is no lock
    settings.persistence.diffbase_storage = NoDifferences()
    settings.queueing.idle_timeout = 0.05  # a task and a timer for each object that had an event; at a start, for all
    settings.process.ultimate_exiting_timeout = 20  # below the pod's grace period


async def _follow_settings(
    file: SettingsFile, queue: RefreshQueue, pipelines: Collection[PipelineKey], beat_now: Callable[[], None]
) -> None:
    """Look at every pipeline again when the settings have changed: images and layers are theirs."""
    known = file.current()
    while True:
        beat_now()
        await asyncio.sleep(_SETTINGS_SECONDS)
        if (current := file.current()) is not known:
            known = current
            for key in list(pipelines):
                queue.mark(key)


async def _follow_servers(
    reporter: Reporter, versions: ServerVersions, queue: RefreshQueue, beat_now: Callable[[], None]
) -> None:
    """Look at pipelines again whose reports waited for their server, or whose server told its version."""
    while True:
        beat_now()
        await asyncio.sleep(_REPORTS_SECONDS)
        for namespace, name in [*reporter.due(), *versions.due()]:
            queue.mark(PipelineKey(namespace, name))


async def _take_over(sight: FirstSight, queue: RefreshQueue, clock: Clock) -> None:
    """Look again at what was at rest when its time comes, and at what the watches do not list any more."""
    now = clock.now()
    for key, moment in sight.again_at.items():
        if moment is not None:
            queue.mark(key, after=max(0.0, (moment - now).total_seconds()))
    sight.again_at.clear()
    before = -1
    while sight.unheard_of and sight.unheard_of != before:
        before = sight.unheard_of
        await asyncio.sleep(_LISTED_SECONDS)
    for key in sight.take_unheard_of():
        queue.mark(key)


def _archiver(
    store: LogStore, first: LogArchiveSettings, settings: SettingsFile, follower: LogFollower, clock: Clock
) -> LogArchiver:
    """Return what archives logs. Its store is the one that the first settings named: another place takes a restart."""

    def retention() -> timedelta:
        return timedelta(seconds=duration_seconds((settings.current().log_archive or first).retention))

    return LogArchiver(store, follower, clock, retention)


async def _wait_for_definition(cluster: ClusterApi, namespaces: Collection[str]) -> None:
    """Return when the API server serves our kind: kopf looks once, at its start."""
    while True:
        try:
            namespace = next(iter(namespaces), "default")
            await asyncio.to_thread(cluster.list, PIPELINES, namespace, {"probe": "none"})
        except NotFound:
            _logger.warning("No CustomResourceDefinition %s.%s yet: apply crds/", constants.PLURAL, constants.GROUP)
        except Unavailable as error:
            _logger.warning("Waiting for the API server: %s", error)
        else:
            return
        await asyncio.sleep(_WAIT_SECONDS)


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _slowness(threads: WatchedThreads) -> str:
    seconds = threads.longest_seconds()
    return (
        f"a thread of {threads.name!r} has been at one piece of work for {seconds:.0f} s"
        if seconds > CALL_SECONDS
        else ""
    )


class Operator:
    """Everything that one replica is made of, from its first moment to its last."""

    def __init__(self, settings_path: Path, namespaces: Collection[str], kubeconfig: str | None) -> None:
        """Raises OperatorError: for wrong settings, or when there is no cluster to talk to."""
        self._settings = SettingsFile(settings_path, load_settings(settings_path))
        self._namespaces = namespaces
        self._kubeconfig = kubeconfig
        self._clock = ServerClock(SystemClock())
        self._metrics = OperatorMetrics()
        self._tracer = TraceExporter(
            self._settings.current, self._clock, self._metrics.traced, os.environ.get(HEADERS_VARIABLE, "")
        )
        self._liveness = Liveness()
        self._lease_namespace, *self._other_namespaces = sorted(
            set(namespaces) or {os.environ.get("POD_NAMESPACE", "default")}
        )
        # One for each worker, and one for the Lease beside them: another would be closed after each call.
        self._api = connect(read_configuration(kubeconfig), pool_size=WORKERS + 1)
        lease_cluster = KubernetesCluster(
            self._api,
            timeout_seconds=_LEASE_CALL_SECONDS,
            attempts=1,
            clock=self._clock,
            observe=self._metrics.called,
        )
        self._leadership = Leadership(lease_cluster, self._lease_namespace, identity(), self._clock)
        self._cluster = KubernetesCluster(
            self._api,
            clock=self._clock,
            observe=self._metrics.called,
            may_write=lambda: self._leadership.may_write,
        )

    async def run(self, liveness_url: str | None) -> None:
        """Stand by, act, and end with a signal."""
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Process 1 of a container is not ended by a signal that nobody waits for. kopf's handlers replace these.
            loop.add_signal_handler(number, this.cancel if this else loop.stop)
        problems, text = self._liveness.problems, self._metrics.text
        server = await serve_management(liveness_url, problems, text) if liveness_url else None
        try:
            await stand_by(self._leadership, self._liveness.loop("lease"))
            holding = asyncio.create_task(hold(self._leadership, self._liveness.loop("lease"), end_at_once))
            self._metrics.leader.set(1)
            try:
                await _wait_for_definition(self._cluster, self._namespaces)
                await self._act()
            finally:
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)
                await asyncio.to_thread(self._leadership.release)
        except asyncio.CancelledError:
            _logger.info("Operator ends")  # by a signal that came before kopf's own handlers
        finally:
            # After the Lease was given back: nobody waits for a collector.
            await asyncio.to_thread(self._tracer.close)
            if server is not None:
                await server.cleanup()

    async def _act(self) -> None:
        settings, metrics, liveness = self._settings, self._metrics, self._liveness
        archive = settings.current().log_archive
        store = ObjectStore(archive.url, create=True, written=metrics.archived) if archive is not None else None
        tails = RunLogTails(KubernetesPodLogs(self._api), store)
        sink = OpenMetadataStatusSink()
        reporter = Reporter(self._cluster, sink, settings.current, self._clock, tails)
        versions = ServerVersions(sink.version)
        own_writes = OwnWrites()

        def refresher_over(cluster: ClusterApi, observers: Sequence[StatusObserver] = ()) -> Refresher:
            return Refresher(
                cluster,
                settings.current,
                self._clock,
                reporter,
                observers=observers,
                versions=versions,
                own_writes=own_writes,
            )

        def observed_over(cluster: ClusterApi) -> Refresher:
            return refresher_over(cluster, (metrics, self._tracer))

        def look_at_all_again(namespaces: Collection[str]) -> FirstSight:
            # Unobserved: by ordinary looks, which go on meanwhile, metrics may know more by now than the lists do.
            return first_round(self._cluster, namespaces, refresher_over)

        refresher = observed_over(self._cluster)
        sight = await asyncio.to_thread(first_round, self._cluster, self._namespaces, observed_over)
        queue = RefreshQueue(metrics.timed(refresher.refresh), self._clock, liveness.loop("queue"))
        follower = KubernetesLogFollower(self._kubeconfig)
        archiver = _archiver(store, archive, settings, follower, self._clock) if store and archive else None
        registry, kopf_settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        configure(kopf_settings)
        pipelines = Inventory(queue.forget)
        register(registry, queue, archiver, sight, pipelines, own_writes)
        metrics.exists(lambda key: key in pipelines or sight.expects(key))
        metrics.follow_queue(lambda: queue.depth, lambda: queue.busy)
        liveness.check(lambda: _slowness(queue.threads))

        @kopf.on.login(registry=registry, retries=3)
        async def login(**_: Any) -> kopf.AiohttpSession:
            found = await asyncio.to_thread(read_login, self._kubeconfig)
            news = news_among_listed(archiver, sight, pipelines)
            session = watch_session(found, metrics.watched, METADATA_ONLY, news)
            return kopf.AiohttpSession(server=found.server, aiohttp_session=session)

        taking_over = asyncio.create_task(_take_over(sight, queue, self._clock))
        tasks = [
            asyncio.create_task(queue.run()),
            asyncio.create_task(_follow_settings(settings, queue, pipelines, liveness.loop("settings"))),
            asyncio.create_task(follow_relists(pipelines, queue, self._clock, look_at_all_again)),
            asyncio.create_task(_follow_servers(reporter, versions, queue, liveness.loop("servers"))),
        ]
        tasks.append(
            asyncio.create_task(beat(self._cluster, self._other_namespaces, self._clock, lambda: not tasks[0].done()))
        )
        if archiver is not None:
            tasks.append(asyncio.create_task(archiver.run()))
            metrics.follow_archive(lambda: archiver.streams, lambda: archiver.waiting)
            liveness.check(lambda: _slowness(archiver.threads))
        liveness.check(lambda: "a loop of the operator has stopped" if any(task.done() for task in tasks) else "")
        liveness.check(lambda: "what was at rest at the start was not taken over" if _has_failed(taking_over) else "")
        try:
            await kopf.operator(
                registry=registry,
                settings=kopf_settings,
                memories=NoMemories(),
                namespaces=self._namespaces,
                clusterwide=not self._namespaces,
                standalone=True,
                # Else kopf asks for the user's name, which an arbitrary numeric user does not have.
                identity=cast("Any", constants.MANAGED_BY),
            )
        finally:
            for task in (*tasks, taking_over):
                task.cancel()
            await asyncio.gather(*tasks, taking_over, return_exceptions=True)
            await follower.close()


def run_operator(
    *, settings_path: Path, namespaces: Collection[str], kubeconfig: str | None, liveness: str | None
) -> None:
    """Run until a signal ends it. An empty `namespaces` means the whole cluster.

    Raises Rejected for wrong settings and ClusterError when there is no cluster to talk to.
    """
    operator = Operator(settings_path, namespaces, kubeconfig)
    _logger.info("Operator starts for %s", ", ".join(namespaces) or "all namespaces")
    asyncio.run(operator.run(liveness))
