"""The Job in which a run goes on where Kubernetes does not let its Job have more memory; pure functions."""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.memory_sizes import with_memory
from ingestion_operator.naming import short_hash
from ingestion_operator.runs.classify import run_id

Job = dict[str, Any]

_STEM_LENGTH: Final = 54
"""A Job's name may have 63 characters; a hyphen and 8 of a hash follow."""

_OWN_LABELS: Final = frozenset({constants.LABEL_JOB_UID, "controller-uid", "batch.kubernetes.io/job-name", "job-name"})
"""Labels that the API server gives to a Job and its pods, with the Job's own name and UID."""

_OWN_ANNOTATIONS: Final = frozenset(
    {constants.ANNOTATION_MEMORY_STEP, constants.ANNOTATION_CONTINUED_BY, constants.ANNOTATION_STOP}
)
_OWN_FIELDS: Final = frozenset({"selector", "manualSelector", "suspend", "activeDeadlineSeconds"})


def successor_name(job: Job) -> str:
    """Return the name of the Job that follows `job`: the same however often it is asked for."""
    metadata = job["metadata"]
    size = metadata.get("annotations", {}).get(constants.ANNOTATION_MEMORY_STEP, "")
    return f"{metadata['name'][:_STEM_LENGTH].rstrip('-')}-{short_hash(metadata['uid'] + size)}"


def successor(job: Job, size: str) -> Job:
    """Return the Job to create: the same run under the same id, with `size` and what is left of its attempts.

    It takes the slot of `job`, which must be suspended and have no pod.
    """
    metadata, spec, template = job["metadata"], job["spec"], job["spec"]["template"]
    annotations = _without(metadata.get("annotations", {}), _OWN_ANNOTATIONS)
    pod_metadata = template.get("metadata", {})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": successor_name(job),
            "namespace": metadata["namespace"],
            "labels": _without(metadata.get("labels", {}), _OWN_LABELS),
            # Admitted: it must not be put among the waiting.
            "annotations": {constants.ANNOTATION_ADMITTED_AT: metadata["creationTimestamp"]} | annotations,
            # To hold up the deletion of an owner would take a right over the owner.
            "ownerReferences": [owner | {"blockOwnerDeletion": False} for owner in metadata.get("ownerReferences", [])],
        },
        "spec": _without(spec, _OWN_FIELDS)
        | {
            "backoffLimit": max(0, int(spec["backoffLimit"]) - int(job.get("status", {}).get("failed", 0))),
            "template": {
                "metadata": pod_metadata
                | {
                    "labels": _without(pod_metadata.get("labels", {}), _OWN_LABELS),
                    "annotations": pod_metadata.get("annotations", {}) | {constants.ANNOTATION_RUN_ID: run_id(job)},
                },
                "spec": template["spec"] | {"containers": with_memory(template["spec"]["containers"], size)},
            },
        },
    }


def _without(entries: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if key not in keys}
