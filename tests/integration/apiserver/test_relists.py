"""The operator as a program whose watches come back too late, and what it has missed meanwhile."""

from contextlib import ExitStack
from pathlib import Path

import yaml

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.ports import JOBS, PIPELINES
from testcluster.handle import Cluster
from testing import objects
from testing.fault_proxy import Fault, FaultProxy, Rule
from testing.gateway_process import write_account_kubeconfig
from testing.operator_process import start_operator
from testing.waiting import wait_for

NAME, JOB = "left-alone", "left-alone-1"


def test_a_job_deleted_during_an_outage_ends_its_run(
    cluster: Cluster, api: KubernetesCluster, namespace: str, tmp_path: Path
) -> None:
    def run() -> tuple[str, str]:
        status = (api.get(PIPELINES, namespace, NAME) or {}).get("status", {})
        return next(((one["state"], one["reason"]) for one in status.get("runs", [])), ("", ""))

    def gone(plural: str) -> Rule:
        return Rule(Fault("gone"), target=f"/{plural}[?].*watch=true", times=None)

    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(objects.SETTINGS))
    account = write_account_kubeconfig(
        cluster, namespace, tmp_path / "account", manifest="rbac.yaml", account="ingestion-operator"
    )
    with FaultProxy(account) as proxy:
        through = proxy.write_kubeconfig(tmp_path / "proxied")
        with start_operator(
            tmp_path, kubeconfig=through, namespace=namespace, settings=settings, observer=cluster.kubeconfig
        ):
            created = api.create(PIPELINES, objects.manifest(NAME, namespace, schedule=None))
            uid = created["metadata"]["uid"]
            api.create(JOBS, objects.job_to_create(JOB, namespace, uid, pipeline_name=NAME))
            wait_for("the run", lambda: run()[0] == "queued", timeout=30)
            # The watch of pipelines goes on where it was: no list would have the run.
            with ExitStack() as stack:
                rules = [stack.enter_context(proxy.failing(gone(plural))) for plural in ("jobs", "pods")]
                proxy.cut_watches()
                wait_for("the watches to be too late", lambda: all(one.struck.is_set() for one in rules), timeout=30)
                api.delete(JOBS, namespace, JOB, propagation="Background")
                wait_for("the end of the run", lambda: run() == ("failed", "JobDeleted"), timeout=30)
