"""The reconciler over an API server in memory, whose watches bring everything at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.cache.projections import Record
from ingestion_operator.cache.store import Store
from ingestion_operator.k8s.naming import cronjob_name
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Clock, ClusterApi, Kind, StatusObserver
from ingestion_operator.reconcile.cronjob_reconciler import CronJobReconciler
from ingestion_operator.reconcile.observed import Observed
from ingestion_operator.reconcile.reconciler import RESYNC, PipelineReconciler
from ingestion_operator.reconcile.secrets import SecretChecks
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.runs.jobs import PipelineKey, read_cronjob
from testing.fake_cluster import FakeCluster
from testing.objects import Body

_ROUNDS: Final = 12


def sync(store: Store, cluster: FakeCluster) -> None:
    """Bring everything of the API server in memory into the store, as lists and watches would."""
    _adopt_jobs(cluster)
    for kind in store.kinds:
        found = [body for body in cluster.stored(kind) if kind == PIPELINES or _label(body)]
        store.replace(kind, "", [_unchanged(store, kind, body) or body for body in found], cluster.version)


def _unchanged(store: Store, kind: Kind, body: Mapping[str, Any]) -> Record | None:
    """Return the record that the store has, where it is as new as the object: reading all takes long."""
    metadata = body["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    record: Record | None = None
    if kind == PIPELINES:
        record = store.pipeline(PipelineKey(namespace, name))
    elif kind == CRONJOBS:
        record = store.cronjob(namespace, name)
    elif kind == JOBS:
        record = store.job(namespace, name)
    is_same = record is not None and record.resource_version == metadata["resourceVersion"]
    return record if is_same else None


def _adopt_jobs(cluster: FakeCluster) -> None:
    """Make pipelines the controllers of Jobs that name no owners: tests leave that out."""
    pipelines = {cronjob_name(body["metadata"]["name"]): body["metadata"] for body in cluster.stored(PIPELINES)}
    for job in cluster.stored(JOBS):
        owner = pipelines.get(_label(job))
        if owner is not None and "ownerReferences" not in job["metadata"]:
            reference = {"kind": constants.KIND, "name": owner["name"], "uid": owner["uid"], "controller": True}
            cluster.put(JOBS, {**job, "metadata": {**job["metadata"], "ownerReferences": [reference]}})


def _label(body: Mapping[str, Any]) -> str:
    return str((body["metadata"].get("labels") or {}).get(constants.LABEL_PIPELINE, ""))


class CronJobs:
    """What the reconciler does to CronJobs alone, over an API server in memory or a real one."""

    def __init__(self, cluster: ClusterApi, clock: Clock | None = None) -> None:
        self.cluster = cluster
        self.store = Store([""])
        self.cronjobs = CronJobReconciler(cluster, self.store, SecretChecks(cluster, clock or SystemClock()))

    def reconcile(self, pipeline: Pipeline, settings: Settings, now: datetime) -> Body:
        """Apply the CronJob of the spec and return it. Raises Rejected, ClusterError."""
        return self._ensure(pipeline, settings, now, checks_secrets=False)

    def check_secrets(self, pipeline: Pipeline, settings: Settings, now: datetime) -> None:
        """Raise Rejected where a Secret is missing."""
        self._ensure(pipeline, settings, now, checks_secrets=True)

    def _ensure(self, pipeline: Pipeline, settings: Settings, now: datetime, *, checks_secrets: bool) -> Body:
        body = self.cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        live = read_cronjob(body) if body is not None else None
        observed = Observed(pipeline, live, jobs=(), pods=())
        result = self.cronjobs.reconcile(observed, settings, now, checks_secrets=checks_secrets)
        if result.blocker is not None:
            raise result.blocker
        found = self.cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        assert found is not None
        return found


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
        self.clock = clock
        self.store = Store([""])
        self.reconciler = PipelineReconciler(
            cluster, self.store, settings, clock, reporter, observers=observers, versions=versions
        )

    def reconcile_once(self, key: PipelineKey) -> datetime | None:
        """Reconcile a pipeline one time; return when it is requeued, at the latest for the slow resync."""
        sync(self.store, self.cluster)
        return self.reconciler.reconcile(key)

    def reconcile(self, key: PipelineKey, deleted_pods: Sequence[Body] = ()) -> datetime | None:
        """Reconcile a pipeline until it is requeued for later; return when, None where only the slow resync is due.

        `deleted_pods` are pods whose deletion a watch has brought, in their last state.
        """
        sync(self.store, self.cluster)
        present = {body["metadata"]["name"] for body in self.cluster.all(PODS)}
        for pod in deleted_pods:
            if pod["metadata"]["name"] not in present:
                self.store.remove(PODS, {**pod, "metadata": {"resourceVersion": "1", **pod["metadata"]}})
        for _ in range(_ROUNDS):
            requeue_at = self.reconciler.reconcile(key)
            if requeue_at is None or requeue_at > self.clock.now():
                break
            sync(self.store, self.cluster)
        else:
            raise AssertionError("the reconciliations do not come to an end")
        is_resync = requeue_at is not None and requeue_at - self.clock.now() > RESYNC * 0.8
        return None if is_resync else requeue_at
