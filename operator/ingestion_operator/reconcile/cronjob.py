"""The writes that bring a pipeline's CronJob to the desired state; pure functions.

The CronJob has annotations with the fingerprint of the desired state and the generation after the operator's last
write. A different fingerprint means that the desired state has changed; a different generation, that another client has
changed the spec.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.objects import Body
from ingestion_operator.k8s.quantities import same_quantity
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.render.cronjob import cronjob, is_paused
from ingestion_operator.runs.jobs import CronJob


@dataclass(frozen=True, slots=True)
class ApplyCronJob:
    """Apply the desired CronJob."""

    desired: Body
    live: CronJob | None
    floor: datetime | None
    """The lastScheduleTime to set before the apply; None to keep it."""


@dataclass(frozen=True, slots=True)
class RestoreCronJob:
    """Replace the spec of a CronJob that another client has changed."""

    desired: Body
    live: CronJob
    floor: datetime | None


@dataclass(frozen=True, slots=True)
class SuspendCronJob:
    """Suspend the CronJob of an earlier spec, or of a pipeline that is being deleted."""

    live: CronJob


CronJobAction = ApplyCronJob | RestoreCronJob | SuspendCronJob


def plan_cronjob(pipeline: Pipeline, live: CronJob | None, settings: Settings, now: datetime) -> CronJobAction | None:
    """Return the write; None if the CronJob is as desired.

    Raises Rejected if the CronJob cannot be written. A suspended pipeline with an unusable spec must still not start
    runs: see `suspension`.
    """
    desired = cronjob(pipeline, settings, now)
    if live is None:
        return ApplyCronJob(desired, None, None)
    _check_owner(live, pipeline)
    floor = schedule_floor(live, desired, pipeline, now)
    metadata = desired["metadata"]
    fingerprint = metadata["annotations"][constants.ANNOTATION_FINGERPRINT]
    has_labels = metadata["labels"].items() <= live.labels.items()
    if live.annotation(constants.ANNOTATION_FINGERPRINT) != fingerprint or not has_labels:
        return ApplyCronJob(desired, live, floor)
    return None if is_untouched(live) else RestoreCronJob(desired, live, floor)


def suspension(pipeline: Pipeline, live: CronJob | None, now: datetime) -> SuspendCronJob | None:
    """Return the suspension of a CronJob that must not start runs, even if the rest of the spec is unusable."""
    if live is None or live.is_suspended or not (is_owned(live, pipeline) or _has_owner_of_same_name(live, pipeline)):
        return None
    must_not_fire = pipeline.is_deleting or live.is_deleting or is_paused(pipeline, now)
    return SuspendCronJob(live) if must_not_fire else None


def is_untouched(live: CronJob) -> bool:
    """Return whether no other client has changed the spec since the operator's last write."""
    return live.annotation(constants.ANNOTATION_GENERATION) == str(live.generation)


def has_tracking_metadata(written: CronJob, desired: Body) -> bool:
    """Return whether a written CronJob still has the labels and annotations by which the operator compares it."""
    metadata = desired["metadata"]
    fingerprint = metadata["annotations"][constants.ANNOTATION_FINGERPRINT]
    return (
        metadata["labels"].items() <= written.labels.items()
        and written.annotation(constants.ANNOTATION_FINGERPRINT) == fingerprint
        and bool(written.annotation(constants.ANNOTATION_GENERATION))
    )


def is_owned(live: CronJob, pipeline: Pipeline) -> bool:
    """Return whether a CronJob belongs to this pipeline, not to an earlier one of the same name."""
    return live.owner is not None and live.owner.uid == pipeline.uid


def _check_owner(live: CronJob, pipeline: Pipeline) -> None:
    name = f"CronJob {live.namespace}/{live.name}"
    owned = is_owned(live, pipeline)
    if live.is_deleting or (_has_owner_of_same_name(live, pipeline) and not owned):
        raise Rejected(
            "WaitingForDeletion",
            f"{name} is being deleted; a new one is created when it is gone. Check its finalizers if that takes long",
            is_external=True,
        )
    if not owned:
        raise Rejected(
            "NameConflict",
            f"{name} exists and does not belong to this pipeline: delete or rename it, or rename the pipeline. "
            "It is left unchanged",
            is_external=True,
        )


def _has_owner_of_same_name(live: CronJob, pipeline: Pipeline) -> bool:
    """Return whether a CronJob belongs to a pipeline of this name, possibly an earlier one."""
    return live.owner is not None and (live.owner.kind, live.owner.name) == (constants.KIND, pipeline.name)


def schedule_floor(live: CronJob, desired: Body, pipeline: Pipeline, now: datetime) -> datetime | None:
    """Return the lastScheduleTime to set before `desired` is applied, None to keep it.

    When a CronJob is unsuspended or edited, Kubernetes starts a run for the newest scheduled time after
    lastScheduleTime. Times at which the pipeline was suspended, before its startDate or under another schedule must not
    run. Only if the startDate has passed without an edit, scheduled times since then run.
    """
    spec = desired["spec"]
    if spec["suspend"]:
        return None
    same_schedule = (live.schedule, live.time_zone) == (spec["schedule"], spec["timeZone"])
    if same_schedule and not live.is_suspended:
        return None
    start = pipeline.spec.schedule.start_date if pipeline.spec.schedule else None
    floor = now
    window_opens_at = live.annotation(constants.ANNOTATION_WINDOW_OPENS_AT)
    if start and live.is_suspended and same_schedule and window_opens_at == format_timestamp(start):
        floor = min(now, start - timedelta(seconds=1))
    last = live.last_schedule_time
    return floor if last is None or last < floor else None


def overridden_metadata(written: Body, desired: Body) -> list[str]:
    """Return the labels and annotations that were applied and are missing or different in the response."""
    return [
        f"metadata.{section}[{key}]"
        for section in ("labels", "annotations")
        for key, value in desired[section].items()
        if (found := (written.get(section) or {}).get(key)) != value
        and (found is None or key != constants.ANNOTATION_GENERATION)
    ]


def overridden_fields(written: Any, desired: Any, path: str = "spec") -> list[str]:
    """Return the paths below `spec` at which the response differs from the applied object: the changes of admission.

    Additions are found where the API server adds no defaults: in lists, and in `limits` and `requests`.
    """
    if isinstance(desired, dict):
        found: list[str] = []
        live = written if isinstance(written, dict) else {}
        if path.rsplit(".", 1)[-1] in ("limits", "requests"):
            found += [f"{path}.{key}" for key in sorted(live.keys() - desired.keys())]
        for key, value in desired.items():
            found += overridden_fields(live.get(key), value, f"{path}.{key}")
        return found
    if isinstance(desired, list):
        live_items = written if isinstance(written, list) else []
        if len(live_items) != len(desired):
            return [] if not desired and not live_items else [path]
        pairs = zip(live_items, desired, strict=True)
        return [one for n, pair in enumerate(pairs) for one in overridden_fields(*pair, f"{path}[{n}]")]
    return [] if _is_same(written, desired, path) else [path]


def _is_same(written: Any, desired: Any, path: str) -> bool:
    if written is None:
        # The API server omits empty and false values.
        return desired in (None, "", False)
    quantity = any(part in path for part in (".limits.", ".requests.", ".sizeLimit"))
    return same_quantity(written, desired) if quantity else bool(written == desired)
