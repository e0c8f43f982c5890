from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.resource import Pipeline, parse_status
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.api.validation import describe_error
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.timestamps import format_timestamp, parse_timestamp
from testing.full_spec import full_spec
from testing.objects import manifest, pipeline, spec


def test_the_smallest_spec_gets_the_documented_defaults() -> None:
    defaults = PipelineSpec.model_validate(spec(schedule={"cron": "@daily"}))
    assert defaults.schedule is not None
    assert (defaults.schedule.time_zone, defaults.schedule.starting_deadline_seconds) == ("UTC", 600)
    assert defaults.concurrency.model_dump() == {"policy": "Forbid", "max_active_runs": 1, "max_queued_runs": 20}
    assert (defaults.history.successful, defaults.history.failed, defaults.history.ttl) == (3, 3, "7d")
    assert (defaults.retry.limit, defaults.retry.disruptions) == (0, 5)
    assert (defaults.suspend, defaults.logger_level, defaults.timeout) == (False, "INFO", None)


def test_a_spec_without_schedule_is_on_demand() -> None:
    assert PipelineSpec.model_validate(spec(schedule=None)).schedule is None


def test_a_spec_survives_being_written_and_read_again() -> None:
    first = PipelineSpec.model_validate(
        full_spec() | {"schedule": {"cron": "@daily", "endDate": "2026-12-31T23:59:59+01:00"}}
    )
    written = first.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert PipelineSpec.model_validate(written, extra="forbid") == first


def test_a_field_of_a_newer_version_is_ignored() -> None:
    assert PipelineSpec.model_validate(spec(fromTheFuture=1)) == PipelineSpec.model_validate(spec())


@pytest.mark.parametrize(
    "change",
    [{"suspend": "true"}, {"suspend": 1}, {"retry": {"limit": "2"}}, {"retry": {"limit": True}}, {"displayName": 7}],
    ids=str,
)
def test_a_value_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PipelineSpec.model_validate(spec(**change))


def test_the_refusal_names_each_wrong_field_but_not_its_value() -> None:
    with pytest.raises(Rejected) as caught:
        pipeline(pipelineType="secret-kind", timeout="secret-timeout")
    assert caught.value.reason == "InvalidSpec"
    assert "pipelineType: " in caught.value.message
    assert "timeout: " in caught.value.message
    assert "secret" not in caught.value.message


def test_our_own_messages_come_without_the_validators_prefix() -> None:
    with pytest.raises(ValidationError) as caught:
        PipelineSpec.model_validate(spec(history={"ttl": "9m"}))
    assert describe_error(caught.value).startswith("history.ttl: ttl must be at least 10m")


def test_the_full_name_defaults_to_service_and_pipeline() -> None:
    assert pipeline("nightly").fully_qualified_name == "shop.nightly"
    assert pipeline(fullyQualifiedName='shop."a.b"').fully_qualified_name == 'shop."a.b"'


def test_a_pod_template_gives_back_what_was_set_and_nothing_else() -> None:
    written = {"spec": {"nodeSelector": {}, "tolerations": [{"operator": "Exists"}]}, "container": {"image": "x"}}
    assert PodTemplate.model_validate(written).as_dict() == written
    assert PodTemplate.model_validate({}).as_dict() == {}
    assert PodTemplate.model_validate({"spec": {"hostNetwork": True}}).as_dict() == {"spec": {}}


def test_a_status_that_does_not_fit_is_forgotten() -> None:
    body = manifest() | {"status": {"conditions": "nonsense"}}
    assert parse_status(body) == PipelineStatus()
    assert parse_status(manifest()) == PipelineStatus()
    assert parse_status(manifest() | {"status": None}) == PipelineStatus()


def test_a_pipeline_is_read_with_its_identity() -> None:
    body = manifest("a.b")
    body["metadata"] |= {"uid": "u", "generation": 7, "resourceVersion": "42"}
    read = Pipeline.parse(body | {"status": {"observedGeneration": 6}})
    assert (read.namespace, read.name, read.uid, read.generation, read.resource_version) == (
        "data",
        "a.b",
        "u",
        7,
        "42",
    )
    assert read.status.observed_generation == 6
    assert len(read.cronjob_name) <= 52


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=OFFSETS))  # noqa: DTZ001
def test_a_timestamp_survives_being_written_and_read(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert parse_timestamp(format_timestamp(whole)) == whole
    assert format_timestamp(whole).endswith("Z")


def test_no_timestamp_is_none() -> None:
    assert parse_timestamp(None) is None
    assert parse_timestamp("") is None


@pytest.mark.parametrize("text", ["yes", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_text_that_names_no_moment_is_not_a_timestamp(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the words are Python's own
        parse_timestamp(text)


def test_an_end_date_is_bounded_by_the_last_moment() -> None:
    read = pipeline(schedule={"cron": "@daily", "endDate": "9999-12-31T23:59:59-12:00"}).spec.schedule
    assert read is not None
    assert read.end_date == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
