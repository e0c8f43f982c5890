"""Pipelines of which no CronJob can be rendered, and the reasons."""

import json

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.render.pod import RUNNABLE_PIPELINE_TYPES
from testing.objects import NOW, Body, pipeline, settings


def test_a_server_that_the_settings_do_not_allow_is_rejected() -> None:
    asking = pipeline(server={"hostPort": "http://169.254.169.254/latest"})
    with pytest.raises(Rejected, match=r"'http://169\.254\.169\.254/latest' .* openmetadata:8585, \*\.svc") as caught:
        cronjob(asking, settings(allowedServers=["openmetadata:8585", "*.svc"]), NOW)
    assert caught.value.reason == "ServerNotAllowed"
    assert cronjob(pipeline(), settings(allowedServers=["openmetadata:8585"]), NOW)


def test_a_service_account_that_is_not_allowed_is_rejected() -> None:
    asking = pipeline(podTemplate={"spec": {"serviceAccountName": "admin"}})
    with pytest.raises(Rejected, match="allowedServiceAccounts") as caught:
        cronjob(asking, settings(allowedServiceAccounts=["other"]), NOW)
    assert caught.value.reason == "ServiceAccountNotAllowed"
    body = cronjob(asking, settings(allowedServiceAccounts=["admin"]), NOW)
    assert body["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] == "admin"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schedule": {"cron": "0 0 31 2 *"}}, "InvalidSchedule"),
        ({"schedule": {"cron": "@daily", "timeZone": "Mars/Olympus"}}, "UnknownTimeZone"),
        ({"server": {"hostPort": "http://x", "version": "0.9"}}, "UnsupportedServerVersion"),
        ({"sourceConfig": {"config": {"x": "é" * 110_000}}}, "SourceConfigTooLarge"),
        ({"pipelineType": "dataInsight"}, "UnsupportedPipelineType"),
        ({"pipelineType": "usage", "service": {"type": "dashboardService", "name": "x"}}, "UnsupportedServiceType"),
        ({"pipelineType": "TestSuite"}, "UnsupportedServiceType"),
        ({"service": {"type": "testSuite", "name": "x"}}, "UnsupportedServiceType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pipeline_that_cannot_be_rendered_is_rejected(changes: Body, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        cronjob(pipeline(**changes), settings(), NOW)
    assert caught.value.reason == reason
    assert "spec." in caught.value.message


@pytest.mark.parametrize(
    ("pipeline_type", "instead"),
    [
        ("elasticSearchReindex", "SearchIndexingApplication"),
        ("dataInsight", "DataInsightsApplication"),
        ("policyAgent", "Access Control"),
    ],
)
def test_a_type_without_code_is_rejected_with_an_alternative(pipeline_type: str, instead: str) -> None:
    with pytest.raises(Rejected, match=f"'{pipeline_type}'.* no .*{instead}.* instead"):
        cronjob(pipeline(pipelineType=pipeline_type), settings(), NOW)


@pytest.mark.parametrize(
    ("pipeline_type", "kind"),
    [(pipeline_type, kind) for pipeline_type, kinds in RUNNABLE_PIPELINE_TYPES.items() for kind in kinds],
)
def test_every_type_is_rendered_for_its_kinds_of_service(pipeline_type: str, kind: str) -> None:
    service = {"type": kind, "name": "anything"}
    body = cronjob(
        pipeline(
            pipelineType=pipeline_type, service=service, connectionSecretRef={"name": "shop", "key": "connection.yaml"}
        ),
        settings(),
        NOW,
    )
    template = body["spec"]["jobTemplate"]["spec"]["template"]
    document = json.loads(template["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert (document["pipelineType"], document["service"]) == (pipeline_type, service)
    mounts = [mount["mountPath"] for mount in template["spec"]["containers"][0]["volumeMounts"]]
    assert constants.CONNECTION_DIRECTORY in mounts
