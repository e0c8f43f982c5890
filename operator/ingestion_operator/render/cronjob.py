"""The Job of one run and the CronJob that starts such Jobs on schedule."""

from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.types import format_timestamp
from ingestion_operator.k8s.diff import fingerprint
from ingestion_operator.k8s.memory import limit_of, sizes_above
from ingestion_operator.k8s.schedule import Window, duration_seconds, normalise_cron, window, zone
from ingestion_operator.render.pod import labels, pod_template

_ON_DEMAND_SCHEDULE: Final = "0 0 1 1 *"
"""What stands in the CronJob of a pipeline without schedule; it is suspended for ever."""


def owner_reference(pipeline: Pipeline) -> dict[str, Any]:
    """Return the reference that lets garbage collection remove a child with its pipeline."""
    return {
        "apiVersion": constants.API_VERSION,
        "kind": constants.KIND,
        "name": pipeline.name,
        "uid": pipeline.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def job_template(pipeline: Pipeline, settings: Settings, *, grows: bool = True) -> dict[str, Any]:
    """Return labels, annotations and spec of a run's Job; `grows` is whether it may be repeated with more memory.

    Raises Rejected as `pod_template` does.
    """
    template = pod_template(pipeline, settings)
    annotations = {constants.ANNOTATION_PIPELINE_NAME: pipeline.name}
    sizes = _sizes(pipeline, template) if grows else []
    if sizes:
        annotations[constants.ANNOTATION_MEMORY_LIMITS] = ",".join(sizes)
    return {
        "metadata": {"labels": labels(pipeline), "annotations": annotations},
        "spec": _job_spec(pipeline, template, pipeline.spec.retry.limit + len(sizes)),
    }


def _sizes(pipeline: Pipeline, template: dict[str, Any]) -> list[str]:
    wish = pipeline.spec.retry.on_out_of_memory
    return sizes_above(limit_of(template["spec"]), wish.memory_factor, wish.max_memory) if wish else []


def _job_spec(pipeline: Pipeline, template: dict[str, Any], backoff_limit: int) -> dict[str, Any]:
    return {
        # Kubernetes' defaults, said so that another client's value does not stay.
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": backoff_limit,
        "ttlSecondsAfterFinished": duration_seconds(pipeline.spec.history.ttl),
        "podFailurePolicy": {
            "rules": [
                {
                    # No repetition mends a wrong configuration or a closed window.
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": constants.RUNNER_CONTAINER,
                        "operator": "In",
                        "values": [constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE],
                    },
                },
                {
                    # A drained node or a preemption is not a failure of the run; spec.retry.disruptions bounds them.
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": template,
    }


def _kept_by_kubernetes(limit: int) -> int:
    """Return the history limit of the CronJob.

    With 0 its controller would delete a Job in the moment of its end, before that is recorded and reported: one stays
    there, and `runs.retention` deletes it.
    """
    return max(1, limit)


def is_paused(pipeline: Pipeline, now: datetime) -> bool:
    """Return whether nothing may fire: without a schedule, suspended, before startDate or after endDate."""
    schedule = pipeline.spec.schedule
    return (
        schedule is None
        or pipeline.spec.suspend
        or window(schedule.start_date, schedule.end_date, now) is not Window.OPEN
    )


def cronjob(pipeline: Pipeline, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the CronJob of a pipeline, for server-side apply.

    A pipeline without schedule, paused or outside its dates has a suspended one, so that
    `kubectl create job --from=cronjob/…` works for every pipeline.

    Raises Rejected as `job_template` does, and for a schedule or time zone that Kubernetes would not take.
    """
    spec, schedule = pipeline.spec, pipeline.spec.schedule
    annotations = {constants.ANNOTATION_PIPELINE_NAME: pipeline.name}
    cron, time_zone = _ON_DEMAND_SCHEDULE, "UTC"
    if schedule is not None:
        cron, time_zone = normalise_cron(schedule.cron), zone(schedule.time_zone).key
        if schedule.start_date is not None and now < schedule.start_date and not spec.suspend:
            annotations[constants.ANNOTATION_WINDOW_OPENS_AT] = format_timestamp(schedule.start_date)
    body: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": pipeline.cronjob_name,
            "namespace": pipeline.namespace,
            "labels": labels(pipeline),
            "annotations": annotations,
            "ownerReferences": [owner_reference(pipeline)],
        },
        "spec": {
            "schedule": cron,
            "timeZone": time_zone,
            "suspend": is_paused(pipeline, now),
            "concurrencyPolicy": spec.concurrency.policy,
            "successfulJobsHistoryLimit": _kept_by_kubernetes(spec.history.successful),
            "failedJobsHistoryLimit": _kept_by_kubernetes(spec.history.failed),
            "jobTemplate": job_template(pipeline, settings),
        },
    }
    if schedule is not None:
        body["spec"]["startingDeadlineSeconds"] = schedule.starting_deadline_seconds
    annotations[constants.ANNOTATION_FINGERPRINT] = fingerprint(body)
    return body
