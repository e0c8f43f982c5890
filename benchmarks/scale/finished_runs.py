"""Finished runs of a pipeline, as its CronJob would have left them: a Job and a pod each, with their ends."""

from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import JOBS, PODS
from testing.pod_status import ended

_UNMANAGED: Final = "ingestion.openmetadata.org/benchmark"
"""Who manages these Jobs: not Kubernetes' controller, which would start pods for them."""

_TOOK: Final = timedelta(minutes=2)


class FinishedRuns:
    """Writes them to the real API server, which checks them as it does all writes."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        self._cluster = cluster

    def add(self, cronjob: dict[str, Any], number: int, began: datetime, *, success: bool) -> None:
        """Add one run of the CronJob's pipeline: a Job, its pod, and how both ended."""
        template = cronjob["spec"]["jobTemplate"]
        name = f"{cronjob['metadata']['name']}-{number}"
        namespace = cronjob["metadata"]["namespace"]
        annotations = template["metadata"]["annotations"]
        job = self._cluster.create(
            JOBS,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": template["metadata"]["labels"],
                    "annotations": annotations | {constants.ANNOTATION_SCHEDULED_AT: format_timestamp(began)},
                    "ownerReferences": [_owner("batch/v1", "CronJob", cronjob)],
                },
                "spec": template["spec"] | {"managedBy": _UNMANAGED},
            },
        )
        self._add_pod(job, began, success=success)
        self._end_job(job, began, success=success)

    def _add_pod(self, job: dict[str, Any], began: datetime, *, success: bool) -> None:
        template, metadata = job["spec"]["template"], job["metadata"]
        pod = self._cluster.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{metadata['name']}-pod",
                    "namespace": metadata["namespace"],
                    "labels": template["metadata"]["labels"] | {constants.LABEL_JOB_UID: metadata["uid"]},
                    "annotations": template["metadata"]["annotations"],
                    "ownerReferences": [_owner("batch/v1", "Job", job)],
                },
                "spec": template["spec"] | {"schedulerName": "none"},
            },
        )
        status = ended(pod, format_timestamp(began), format_timestamp(began + _TOOK), success=success)
        self._patch_status(PODS, pod, status)

    def _end_job(self, job: dict[str, Any], began: datetime, *, success: bool) -> None:
        end = format_timestamp(began + _TOOK)
        types = ("SuccessCriteriaMet", "Complete") if success else ("FailureTarget", "Failed")
        reason = "CompletionsReached" if success else "BackoffLimitExceeded"
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": end, "lastProbeTime": end}
            for kind in types
        ]
        status: dict[str, Any] = {
            "startTime": format_timestamp(began),
            "conditions": conditions,
            "ready": 0,
            "terminating": 0,
            "succeeded": int(success),
            "failed": int(not success),
        }
        if success:
            status["completionTime"] = end
        self._patch_status(JOBS, job, status)

    def _patch_status(self, kind: Any, body: dict[str, Any], status: dict[str, Any]) -> None:
        metadata = body["metadata"]
        self._cluster.merge_patch(
            kind, metadata["namespace"], metadata["name"], {"status": status}, subresource="status"
        )


def _owner(api_version: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    metadata = body["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
