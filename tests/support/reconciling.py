"""The reconciler over an API server in memory, whose watches bring everything at once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.naming import cronjob_name
from ingestion_operator.ports import JOBS, PIPELINES, PODS, Clock, StatusObserver
from ingestion_operator.reconcile.reconciler import PipelineReconciler
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.settings import Settings
from tests.support.fake_cluster import FakeCluster
from tests.support.objects import Body

_API_VERSION: Final = "batch/v1"


def sync(store: Store, cluster: FakeCluster) -> None:
    """Bring everything of the API server in memory into the store, as lists and watches would."""
    for kind in store.kinds:
        found = [body for body in cluster.all(kind) if kind == PIPELINES or _label(body)]
        if kind == JOBS:
            found = [adopted(cluster, body) for body in found]
        store.replace(kind, "", found, cluster.version)


def adopted(cluster: FakeCluster, job: Body) -> Body:
    """Return a Job that names no owners with its pipeline as its controller: tests leave that out."""
    if "ownerReferences" in job["metadata"]:
        return job
    owners = [
        {"kind": constants.KIND, "name": body["metadata"]["name"], "uid": body["metadata"]["uid"], "controller": True}
        for body in cluster.all(PIPELINES)
        if cronjob_name(body["metadata"]["name"]) == _label(job)
    ]
    return job | {"metadata": job["metadata"] | {"ownerReferences": owners}}


def _label(body: Body) -> str:
    return str((body["metadata"].get("labels") or {}).get(constants.LABEL_PIPELINE, ""))


class Reconciling:
    """Reconciles pipelines of an API server in memory with a cache that is up to date."""

    def __init__(
        self,
        cluster: FakeCluster,
        settings: Callable[[], Settings],
        clock: Clock,
        reporter: Reporter,
        *,
        observers: Sequence[StatusObserver] = (),
        versions: ServerVersions | None = None,
    ) -> None:
        self.cluster = cluster
        self.store = Store([""])
        self.reconciler = PipelineReconciler(
            cluster, self.store, settings, clock, reporter, observers=observers, versions=versions
        )

    def reconcile(self, key: PipelineKey, deleted_pods: Sequence[Body] = ()) -> datetime | None:
        """Reconcile a pipeline once; `deleted_pods` are pods whose deletion a watch has brought, in their last state."""
        sync(self.store, self.cluster)
        present = {body["metadata"]["name"] for body in self.cluster.all(PODS)}
        for pod in deleted_pods:
            if pod["metadata"]["name"] not in present:
                self.store.remove(PODS, {**pod, "metadata": {"resourceVersion": "1", **pod["metadata"]}})
        return self.reconciler.reconcile(key)
