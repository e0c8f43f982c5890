"""What has to be written so that a pipeline's CronJob is what its spec says; pure functions.

The CronJob carries a fingerprint of what is desired and the generation that the operator's last write left. Another
fingerprint: the desired state has changed. Another generation: another client has changed the spec, whatever it added.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.types import format_timestamp
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.diff import same_quantity
from ingestion_operator.render.cronjob import cronjob, is_paused
from ingestion_operator.runs.jobs import CronJob


@dataclass(frozen=True, slots=True)
class ApplyCronJob:
    """Apply the desired CronJob."""

    desired: dict[str, Any]
    live: CronJob | None
    floor: datetime | None
    """The time that must count as the last scheduled one before this is applied; None to leave it."""


@dataclass(frozen=True, slots=True)
class RestoreCronJob:
    """Replace the spec of a CronJob that another client has changed."""

    desired: dict[str, Any]
    live: CronJob
    floor: datetime | None


@dataclass(frozen=True, slots=True)
class SuspendCronJob:
    """Suspend the CronJob of an earlier spec, or of a pipeline that is being deleted."""

    live: CronJob


CronJobAction = ApplyCronJob | RestoreCronJob | SuspendCronJob


def plan_cronjob(pipeline: Pipeline, live: CronJob | None, settings: Settings, now: datetime) -> CronJobAction | None:
    """Return what to write; None where the CronJob is as desired.

    Raises Rejected for what keeps the CronJob from being written. The pause of an unusable spec must be in force all
    the same: see `suspension`.
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
    """Return the suspension of a CronJob that must not start runs, whatever else the pipeline's spec says."""
    if live is None or live.is_suspended or not (is_owned(live, pipeline) or _was_ours(live, pipeline)):
        return None
    must_not_fire = pipeline.is_deleting or live.is_deleting or is_paused(pipeline, now)
    return SuspendCronJob(live) if must_not_fire else None


def is_untouched(live: CronJob) -> bool:
    """Return whether no other client has changed the spec since the operator wrote it."""
    return live.annotation(constants.ANNOTATION_GENERATION) == str(live.generation)


def is_marked(written: CronJob, desired: dict[str, Any]) -> bool:
    """Return whether a CronJob that was just written has what the next reconciliation knows it by."""
    metadata = desired["metadata"]
    fingerprint = metadata["annotations"][constants.ANNOTATION_FINGERPRINT]
    return (
        metadata["labels"].items() <= written.labels.items()
        and written.annotation(constants.ANNOTATION_FINGERPRINT) == fingerprint
        and bool(written.annotation(constants.ANNOTATION_GENERATION))
    )


def is_owned(live: CronJob, pipeline: Pipeline) -> bool:
    """Return whether a CronJob belongs to this very pipeline, not to an earlier one of its name."""
    return live.owner is not None and live.owner.uid == pipeline.uid


def _check_owner(live: CronJob, pipeline: Pipeline) -> None:
    name = f"CronJob {live.namespace}/{live.name}"
    is_ours = is_owned(live, pipeline)
    if live.is_deleting or (_was_ours(live, pipeline) and not is_ours):
        raise Rejected(
            "WaitingForDeletion",
            f"{name} is being deleted, and a new one follows when it is gone: see its finalizers if that takes long",
            is_external=True,
        )
    if not is_ours:
        raise Rejected(
            "NameConflict",
            f"{name} exists and does not belong to this pipeline: delete or rename it, or rename the pipeline. "
            "It is left unchanged",
            is_external=True,
        )


def _was_ours(live: CronJob, pipeline: Pipeline) -> bool:
    """Return whether a CronJob belongs to a pipeline of this name, maybe an earlier one."""
    return live.owner is not None and (live.owner.kind, live.owner.name) == (constants.KIND, pipeline.name)


def schedule_floor(live: CronJob, desired: dict[str, Any], pipeline: Pipeline, now: datetime) -> datetime | None:
    """Return the time that must count as the last scheduled one before `desired` is applied, None to leave it.

    Kubernetes makes up for the newest scheduled time since the last one when a CronJob is unsuspended or edited. A time
    that passed while the pipeline was paused, before its startDate or under another schedule must not run. Only a
    window that opens by itself lets scheduled times since its startDate run.
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


def overridden_metadata(written: dict[str, Any], desired: dict[str, Any]) -> list[str]:
    """Return the labels and annotations that were applied and are not in the answer."""
    return [
        f"metadata.{section}[{key}]"
        for section in ("labels", "annotations")
        for key, value in desired[section].items()
        if (found := (written.get(section) or {}).get(key)) != value
        and (found is None or key != constants.ANNOTATION_GENERATION)
    ]


def overridden_fields(written: Any, desired: Any, path: str = "spec") -> list[str]:
    """Return the paths below `spec` where an answer differs from what was applied: what admission has changed.

    Additions count where they can be told from the API server's defaults: in lists, and in `limits` and `requests`.
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
        # The API server leaves out what is empty or false.
        return desired in (None, "", False)
    quantity = any(part in path for part in (".limits.", ".requests.", ".sizeLimit"))
    return same_quantity(written, desired) if quantity else bool(written == desired)
