"""Starting the operator: kopf's settings, each with its reason, and the queue beside it."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import kopf

from ingestion_operator import constants
from ingestion_operator.archiving import LogArchiver
from ingestion_operator.controllers.handlers import register
from ingestion_operator.controllers.heartbeat import beat
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.errors import NotFound, Unavailable
from ingestion_operator.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.kube.log_follower import KubernetesLogFollower
from ingestion_operator.kube.login import read_login
from ingestion_operator.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.log_tails import RunLogTails
from ingestion_operator.object_store import ObjectStore
from ingestion_operator.openmetadata.status_sink import OpenMetadataStatusSink
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi, LogFollower, LogStore
from ingestion_operator.refresh import PipelineKey, Refresher
from ingestion_operator.reporter import Reporter
from ingestion_operator.schedule import duration_seconds
from ingestion_operator.server_versions import ServerVersions
from ingestion_operator.settings import LogArchiveSettings, load_settings
from ingestion_operator.settings_file import SettingsFile
from ingestion_operator.system_clock import SystemClock

_logger = logging.getLogger(__name__)


_WAIT_SECONDS: Final = 2
_BACKOFF_SECONDS: Final = (0.5, 1, 1, 2, 2, 4, 4, 4)
_SETTINGS_SECONDS: Final = 5
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
    settings.watching.chunk_size = 500  # a list in pieces keeps the peak of memory low
    settings.networking.request_timeout = 30
    # kopf's own pauses grow to 21 s: so long after the API server is back nobody would see how runs end.
    settings.networking.error_backoffs = [pause * random.uniform(0.8, 1.2) for pause in _BACKOFF_SECONDS]  # noqa: S311  jitter
    settings.posting.enabled = False  # Events are ours, after the status is written
    settings.scanning.disabled = True  # no rights on CRDs and namespaces of the whole cluster
    settings.peering.standalone = True  # one replica, strategy Recreate; peering is no leader election
    settings.process.ultimate_exiting_timeout = 20  # below the pod's grace period


async def _follow_settings(file: SettingsFile, queue: RefreshQueue, pipelines: Collection[PipelineKey]) -> None:
    """Look at every pipeline again when the settings have changed: images and layers are theirs."""
    known = file.current()
    while True:
        await asyncio.sleep(_SETTINGS_SECONDS)
        if (current := file.current()) is not known:
            known = current
            for key in list(pipelines):
                queue.mark(key)


async def _follow_servers(reporter: Reporter, versions: ServerVersions, queue: RefreshQueue) -> None:
    """Look at pipelines again whose reports waited for their server, or whose server told its version."""
    while True:
        await asyncio.sleep(_REPORTS_SECONDS)
        for namespace, name in [*reporter.due(), *versions.due()]:
            queue.mark(PipelineKey(namespace, name))


def _archiver(
    store: LogStore, first: LogArchiveSettings, settings: SettingsFile, follower: LogFollower, clock: Clock
) -> LogArchiver:
    """Return what archives logs. Its store is the one that the first settings named: another place takes a restart."""

    def retention() -> timedelta:
        return timedelta(seconds=duration_seconds((settings.current().log_archive or first).retention))

    return LogArchiver(store, follower, clock, retention)


def _wait_for_definition(cluster: ClusterApi, namespaces: Collection[str]) -> None:
    """Return when the API server serves our kind: kopf looks once, at its start."""
    while True:
        try:
            cluster.list(PIPELINES, next(iter(namespaces), "default"), {"probe": "none"})
        except NotFound:
            _logger.warning("No CustomResourceDefinition %s.%s yet: apply crds/", constants.PLURAL, constants.GROUP)
        except Unavailable as error:
            _logger.warning("Waiting for the API server: %s", error)
        else:
            return
        time.sleep(_WAIT_SECONDS)


def run_operator(
    *, settings_path: Path, namespaces: Collection[str], kubeconfig: str | None, liveness: str | None
) -> None:
    """Run until a signal ends it. An empty `namespaces` means the whole cluster.

    Raises Rejected for wrong settings and ClusterError when there is no cluster to talk to.
    """
    settings_file = SettingsFile(settings_path, load_settings(settings_path))
    clock = SystemClock()
    api = connect(read_configuration(kubeconfig))
    cluster = KubernetesCluster(api)
    archive = settings_file.current().log_archive
    store = ObjectStore(archive.url, create=True) if archive is not None else None
    tails = RunLogTails(KubernetesPodLogs(api), store)
    sink = OpenMetadataStatusSink()
    reporter = Reporter(cluster, sink, settings_file.current, clock, tails)
    versions = ServerVersions(sink.version)
    refresher = Refresher(cluster, settings_file.current, clock, reporter, versions)
    registry = kopf.OperatorRegistry()
    kopf_settings = kopf.OperatorSettings()
    configure(kopf_settings)

    own_namespaces = namespaces or [os.environ.get("POD_NAMESPACE", "default")]

    _wait_for_definition(cluster, namespaces)

    async def main() -> None:
        queue = RefreshQueue(refresher.refresh, clock)
        follower = KubernetesLogFollower(kubeconfig)
        archiver = _archiver(store, archive, settings_file, follower, clock) if store and archive else None
        pipelines = register(registry, queue, archiver)

        @kopf.on.login(registry=registry, retries=3)
        def login(**_: Any) -> kopf.ConnectionInfo:
            found = read_login(kubeconfig)
            return kopf.ConnectionInfo(
                server=found.server,
                ca_path=found.ca_path,
                insecure=found.insecure,
                token=found.token,
                certificate_path=found.certificate_path,
                private_key_path=found.private_key_path,
            )

        @kopf.on.probe(id="queue", registry=registry)
        async def queue_is_alive(**_: Any) -> str:
            if any(task.done() for task in tasks):
                # A false answer would count as healthy; so would an error that kopf believes to pass.
                raise kopf.PermanentError("the queue has stopped")
            return "alive"

        tasks = [
            asyncio.create_task(queue.run()),
            asyncio.create_task(_follow_settings(settings_file, queue, pipelines)),
            asyncio.create_task(_follow_servers(reporter, versions, queue)),
            asyncio.create_task(beat(cluster, own_namespaces, clock, lambda: not tasks[0].done())),
        ]
        if archiver is not None:
            tasks.append(asyncio.create_task(archiver.run()))
        try:
            await kopf.operator(
                registry=registry,
                settings=kopf_settings,
                namespaces=namespaces,
                clusterwide=not namespaces,
                standalone=True,
                # Else kopf asks for the user's name, which an arbitrary numeric user does not have.
                identity=cast("Any", constants.MANAGED_BY),
                liveness_endpoint=liveness,
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await follower.close()

    _logger.info("Operator starts for %s", ", ".join(namespaces) or "all namespaces")
    asyncio.run(main())
