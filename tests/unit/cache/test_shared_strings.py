"""Jobs of one pipeline share what they have in common, so that 20,000 of them stay small."""

import json

from ingestion_operator import constants
from ingestion_operator.runs.jobs import read_job
from testing.objects import Body, job

RUN_INPUT = {
    "server": {"hostPort": "http://openmetadata:8585/api", "version": "1.13", "verifySSL": "no-ssl"},
    "service": {"type": "databaseService", "name": "shop"},
    "fullyQualifiedName": "shop.nightly",
}


def a_job(name: str, run_input: Body) -> Body:
    body = job(name)
    body["metadata"] |= {"resourceVersion": "1"}
    body["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "nightly", "uid": "u", "controller": True}]
    body["spec"]["template"]["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT] = json.dumps(run_input)
    read: Body = json.loads(json.dumps(body))  # no string is shared by chance
    return read


def test_jobs_of_a_pipeline_share_target_owner_and_keys() -> None:
    one, two = read_job(a_job("one", RUN_INPUT)), read_job(a_job("two", RUN_INPUT))
    assert one.target is not None
    assert one.target is two.target
    assert one.pipeline is two.pipeline
    assert one.owner is not None
    assert two.owner is not None
    assert (one.owner.name is two.owner.name, one.owner.uid is two.owner.uid) == (True, True)
    assert next(iter(one.annotations)) is next(iter(two.annotations))


def test_another_input_is_another_target() -> None:
    other = RUN_INPUT | {"fullyQualifiedName": "shop.other"}
    one, two = read_job(a_job("one", RUN_INPUT)), read_job(a_job("two", other))
    assert one.target is not None
    assert two.target is not None
    assert (one.target.fully_qualified_name, two.target.fully_qualified_name) == ("shop.nightly", "shop.other")


def test_an_input_that_cannot_be_read_has_no_target() -> None:
    body = a_job("one", RUN_INPUT)
    body["spec"]["template"]["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT] = "\ud800"
    assert read_job(body).target is None
