"""The first look at all pipelines after a start, over what a real API server lists."""

from datetime import UTC, datetime, timedelta

from benchmarks.scale.finished_runs import FinishedRuns
from ingestion_operator.first_round import first_round
from ingestion_operator.kube.client import KubernetesCluster
from ingestion_operator.ports import CRONJOBS, PIPELINES, ClusterApi
from ingestion_operator.refresh import PipelineKey, Refresher
from tests.cluster.handle import Cluster
from tests.support.fake_clock import FakeClock
from tests.support.fake_sink import FakeSink, reporter_over
from tests.support.objects import manifest, settings

NAMES = ("one", "two")


def test_pipelines_with_finished_runs_are_at_rest_by_lists_alone(
    bed: Cluster, api: KubernetesCluster, namespace: str
) -> None:
    bed.kubectl("-n", namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    clock, used = FakeClock(), settings()
    clock.moment = datetime.now(UTC).replace(microsecond=0)

    def refresher_over(cluster: ClusterApi) -> Refresher:
        return Refresher(cluster, lambda: used, clock, reporter_over(cluster, FakeSink(), lambda: used, clock))

    keys = [PipelineKey(namespace, name) for name in NAMES]
    for key in keys:
        api.create(PIPELINES, manifest(key.name, namespace))
        refresher_over(api).refresh(key, [])
        cronjob = api.get(CRONJOBS, namespace, key.name)
        assert cronjob is not None
        for number in range(2):
            FinishedRuns(api).add(cronjob, number, clock.moment - timedelta(hours=2 - number), success=number > 0)
        refresher_over(api).refresh(key, [])
    sight = first_round(api, [namespace], refresher_over)
    assert sight.again_at.keys() == set(keys)
    assert sight.unheard_of == len(NAMES) * (1 + 1 + 2 + 2)
