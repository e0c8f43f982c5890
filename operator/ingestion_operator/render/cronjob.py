"""The Job of one run, and the CronJob that starts such Jobs on schedule."""

from datetime import datetime
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.k8s.diff import fingerprint
from ingestion_operator.k8s.memory import memory_limit_of, memory_limits_above
from ingestion_operator.k8s.schedule import Window, duration_seconds, normalise_cron, window, zone
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.render.pod import labels, pod_template

_ON_DEMAND_SCHEDULE: Final = "0 0 1 1 *"
"""The schedule in the CronJob of a pipeline without one, which is always suspended."""


def owner_reference(pipeline: Pipeline) -> dict[str, Any]:
    """Return the owner reference with which garbage collection deletes a child with its pipeline."""
    return {
        "apiVersion": constants.API_VERSION,
        "kind": constants.KIND,
        "name": pipeline.name,
        "uid": pipeline.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def job_template(pipeline: Pipeline, settings: Settings, *, retries_on_oom: bool = True) -> dict[str, Any]:
    """Return labels, annotations and spec of a run's Job; `retries_on_oom` allows retries with more memory.

    Raises Rejected as `pod_template` does.
    """
    template = pod_template(pipeline, settings)
    annotations = {constants.ANNOTATION_PIPELINE_NAME: pipeline.name}
    limits = _memory_limits(pipeline, template) if retries_on_oom else []
    if limits:
        annotations[constants.ANNOTATION_MEMORY_LIMITS] = ",".join(limits)
    return {
        "metadata": {"labels": labels(pipeline), "annotations": annotations},
        "spec": _job_spec(pipeline, template, pipeline.spec.retry.limit + len(limits)),
    }


def _memory_limits(pipeline: Pipeline, template: dict[str, Any]) -> list[str]:
    retry = pipeline.spec.retry.on_out_of_memory
    return (
        memory_limits_above(memory_limit_of(template["spec"]), retry.memory_factor, retry.max_memory) if retry else []
    )


def _job_spec(pipeline: Pipeline, template: dict[str, Any], backoff_limit: int) -> dict[str, Any]:
    return {
        # Kubernetes' defaults, set to overwrite the values of other clients.
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": backoff_limit,
        "ttlSecondsAfterFinished": duration_seconds(pipeline.spec.history.ttl),
        "podFailurePolicy": {
            "rules": [
                {
                    # No retry fixes an invalid configuration or a closed window.
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": constants.RUNNER_CONTAINER,
                        "operator": "In",
                        "values": [constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE],
                    },
                },
                {
                    # A drained node or a preemption is not a failure of the run; spec.retry.disruptions limits them.
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": template,
    }


def _history_limit(limit: int) -> int:
    """Return the history limit of the CronJob.

    With 0 the CronJob controller would delete a Job immediately at its end, before the end is recorded and reported. So
    it keeps one Job, which `runs.job_retention` deletes.
    """
    return max(1, limit)


def is_paused(pipeline: Pipeline, now: datetime) -> bool:
    """Return whether no run may start: without a schedule, suspended, before startDate or after endDate."""
    schedule = pipeline.spec.schedule
    return (
        schedule is None
        or pipeline.spec.suspend
        or window(schedule.start_date, schedule.end_date, now) is not Window.OPEN
    )


def cronjob(pipeline: Pipeline, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the CronJob of a pipeline, for server-side apply.

    It is suspended for a pipeline that has no schedule, is paused or is outside its dates, so that
    `kubectl create job --from=cronjob/…` works for every pipeline.

    Raises:
        Rejected: See `job_template`; or Kubernetes does not support the schedule or time zone.
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
            "successfulJobsHistoryLimit": _history_limit(spec.history.successful),
            "failedJobsHistoryLimit": _history_limit(spec.history.failed),
            "jobTemplate": job_template(pipeline, settings),
        },
    }
    if schedule is not None:
        body["spec"]["startingDeadlineSeconds"] = schedule.starting_deadline_seconds
    annotations[constants.ANNOTATION_FINGERPRINT] = fingerprint(body)
    return body
