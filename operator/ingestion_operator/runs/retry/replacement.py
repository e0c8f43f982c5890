"""The Job that continues a run if Kubernetes rejects a change of its Job's memory limit; pure functions."""

from typing import Final

from ingestion_operator import constants
from ingestion_operator.k8s.memory import with_memory_limit
from ingestion_operator.k8s.naming import short_hash
from ingestion_operator.k8s.objects import Body, annotations_of, labels_of, owners_of
from ingestion_operator.runs.jobs import Job, read_job

_STEM_LENGTH: Final = 54
"""A Job's name may have 63 characters: a hyphen and 8 characters of a hash follow."""

_OWN_LABELS: Final = frozenset({constants.LABEL_JOB_UID, "controller-uid", "batch.kubernetes.io/job-name", "job-name"})
"""Labels that the API server sets on a Job and its pods, with the Job's name and UID."""

_OWN_ANNOTATIONS: Final = frozenset(
    {constants.ANNOTATION_NEXT_MEMORY_LIMIT, constants.ANNOTATION_REPLACED_BY, constants.ANNOTATION_STOP}
)
_OWN_FIELDS: Final = frozenset({"selector", "manualSelector", "suspend", "activeDeadlineSeconds"})


def replacement_name(job: Job) -> str:
    """Return the name of the replacement of `job`, which is deterministic, so that it is created once."""
    limit = job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)
    return f"{job.name[:_STEM_LENGTH].rstrip('-')}-{short_hash(job.uid + limit)}"


def replacement_job(body: Body, memory: str) -> Body:
    """Return the Job to create: the same run with the same id, the limit `memory` and the remaining attempts.

    `body` is the live Job, which must be suspended without pods. The new Job has its slot and its owners.
    """
    job, metadata, spec = read_job(body), body["metadata"], body["spec"]
    template = spec["template"]
    annotations = _without(annotations_of(body), _OWN_ANNOTATIONS)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": replacement_name(job),
            "namespace": metadata["namespace"],
            "labels": _without(labels_of(body), _OWN_LABELS),
            # Admitted: it does not wait for a slot.
            "annotations": {constants.ANNOTATION_ADMITTED_AT: metadata["creationTimestamp"]} | annotations,
            # blockOwnerDeletion would need permissions on the owner.
            "ownerReferences": [owner | {"blockOwnerDeletion": False} for owner in owners_of(body)],
        },
        "spec": _without(spec, _OWN_FIELDS)
        | {
            "backoffLimit": max(0, job.backoff_limit - job.failed),
            "template": {
                "metadata": (template.get("metadata") or {})
                | {
                    "labels": _without(labels_of(template), _OWN_LABELS),
                    "annotations": annotations_of(template) | {constants.ANNOTATION_RUN_ID: job.run_id},
                },
                "spec": template["spec"] | {"containers": with_memory_limit(template["spec"]["containers"], memory)},
            },
        },
    }


def _without(entries: Body, keys: frozenset[str]) -> Body:
    return {key: value for key, value in entries.items() if key not in keys}
