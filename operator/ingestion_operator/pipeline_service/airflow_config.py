"""Translation of OpenMetadata's airflowConfig into the spec of an IngestionPipeline; pure functions.

| key | effect |
|---|---|
| scheduleInterval | spec.schedule.cron; presets that Kubernetes does not know are expanded; absent: on demand |
| pipelineTimezone | spec.schedule.timeZone |
| startDate, endDate | spec.schedule.startDate, endDate; no effect on demand |
| retries | spec.retry.limit, at most 10 |
| maxActiveRuns, concurrency | spec.concurrency: the smaller of the two, at most 100; above 1 runs may overlap |
| workflowTimeout | spec.timeout, per attempt; seconds, or days by the settings |
| pausePipeline | spec.suspend, only in the first deploy |
| retryDelay, pipelineCatchup, email | none |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from ingestion_operator.api.types import LONGEST_DURATION
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.schedule import PRESETS, SECONDS_PER_UNIT, duration_seconds, normalise_cron, zone
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.pipeline_service.entity import AirflowConfig, invalid

_MORE_PRESETS: Final = {"@quarterly": "0 0 1 */3 *"}
_RETRIES_LIMIT: Final = 10
_RUNS_LIMIT: Final = 100
_LARGEST_NUMBER: Final = 999_999
"""The largest number in a duration of the custom resource."""

_COSMETIC: Final = {"workflowDefaultView", "workflowDefaultViewOrientation"}
"""Keys for the display in Airflow, which have no effect here."""

_FIELD: Final = "airflowConfig"


@dataclass(frozen=True)
class Timing:
    """The parts of a spec that come from airflowConfig, and the keys that have no effect."""

    schedule: dict[str, Any] | None
    retry_limit: int
    max_active_runs: int
    timeout: str | None
    ignored_fields: list[str]


def timing(config: AirflowConfig, raw: Mapping[str, Any], unit: Literal["seconds", "days"], now: datetime) -> Timing:
    """Translate a configuration; `raw` is the configuration as OpenMetadata sent it.

    Raises:
        Rejected: InvalidParameter: Kubernetes does not support the schedule, time zone or window.
    """
    return Timing(
        schedule=_schedule(config),
        retry_limit=min(config.retries, _RETRIES_LIMIT),
        max_active_runs=min(config.max_active_runs, config.concurrency, _RUNS_LIMIT),
        timeout=_timeout(config.workflow_timeout, unit),
        ignored_fields=sorted(f"{_FIELD}.{name}" for name in _ignored_fields(config, raw, now)),
    )


def _schedule(config: AirflowConfig) -> dict[str, Any] | None:
    """Return the schedule with every key that a deploy sets; None removes a key."""
    text = " ".join((config.schedule_interval or "").split())
    if not text:
        return None
    cron = _MORE_PRESETS.get(text, text)
    try:
        normalise_cron(cron)
    except Rejected as error:
        presets = ", ".join((*PRESETS, *_MORE_PRESETS))
        raise invalid(
            f"{_FIELD}.scheduleInterval", f"{text!r} is neither a cron expression of five fields nor one of {presets}"
        ) from error
    try:
        time_zone = zone(config.pipeline_timezone).key
    except Rejected as error:
        raise invalid(
            f"{_FIELD}.pipelineTimezone", f"{config.pipeline_timezone!r} is not an IANA time zone such as Europe/Zurich"
        ) from error
    if config.start_date and config.end_date and config.start_date >= config.end_date:
        raise invalid(f"{_FIELD}.endDate", f"it must be later than {_FIELD}.startDate")
    return {
        "cron": cron,
        "timeZone": time_zone,
        "startDate": format_timestamp(config.start_date) if config.start_date else None,
        "endDate": format_timestamp(config.end_date) if config.end_date else None,
    }


def _timeout(amount: int | None, unit: Literal["seconds", "days"]) -> str | None:
    """Return a duration of the custom resource, rounded up if the number is too large for the smaller unit."""
    if amount is None:
        return None
    seconds = amount * SECONDS_PER_UNIT["d" if unit == "days" else "s"]
    if seconds > duration_seconds(LONGEST_DURATION):
        raise invalid(f"{_FIELD}.workflowTimeout", f"{amount} {unit} is more than {LONGEST_DURATION[:-1]} days")
    for letter, size in SECONDS_PER_UNIT.items():
        if (number := -(-seconds // size)) <= _LARGEST_NUMBER:
            return f"{number}{letter}"
    raise AssertionError("the limit in days fits into the largest number")


def _ignored_fields(config: AirflowConfig, raw: Mapping[str, Any], now: datetime) -> Iterator[str]:
    known = {"retryDelay": config.retry_delay != AirflowConfig().retry_delay, "email": config.email is not None}
    known["pipelineCatchup"] = config.pipeline_catchup
    yield from (key for key, is_set in known.items() if is_set)
    if not (config.schedule_interval or "").strip():
        if config.start_date is not None and config.start_date > now:
            yield "startDate (without scheduleInterval)"
        if config.end_date is not None:
            yield "endDate (without scheduleInterval)"
    if config.retries > _RETRIES_LIMIT:
        yield f"retries (above {_RETRIES_LIMIT})"
    if min(config.max_active_runs, config.concurrency) > _RUNS_LIMIT:
        yield f"maxActiveRuns (above {_RUNS_LIMIT})"
    aliases = {field.alias for field in AirflowConfig.model_fields.values()}
    yield from (key for key, value in raw.items() if key not in aliases | _COSMETIC and value is not None)
