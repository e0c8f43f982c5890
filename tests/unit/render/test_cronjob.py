import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.render.pod import RUNNABLE_PIPELINE_TYPES
from tests.support.golden import GOLDEN, rendered
from tests.support.objects import NOW, Body, at, pipeline, refingerprint, settings

WORD = st.from_regex("[A-Z][A-Z]{0,5}", fullmatch=True).filter(lambda word: word != "HOME")
TEMPLATES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": st.dictionaries(WORD, WORD, max_size=2), "annotations": st.dictionaries(WORD, WORD)}
        ),
        "container": st.fixed_dictionaries(
            {},
            optional={
                "env": st.lists(WORD, unique=True, max_size=3).map(lambda n: [{"name": x, "value": x} for x in n]),
                "resources": st.just({"limits": {"cpu": "1"}}),
            },
        ),
        "spec": st.fixed_dictionaries({}, optional={"nodeSelector": st.dictionaries(WORD, WORD, max_size=2)}),
    },
)

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"


@given(TEMPLATES, TEMPLATES)
def test_rendering_is_deterministic_and_changes_neither_pipeline_nor_settings(lower: Body, upper: Body) -> None:
    used, found = settings(podTemplate=lower), pipeline(podTemplate=upper)
    first = cronjob(found, used, NOW)
    first["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"].clear()
    second, third = cronjob(found, used, NOW), cronjob(pipeline(podTemplate=upper), settings(podTemplate=lower), NOW)
    assert second == third
    assert second["metadata"]["annotations"][constants.ANNOTATION_FINGERPRINT] == refingerprint(second)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_pod_has_no_rights(name: str) -> None:
    pod = rendered(name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_labels_and_whole_name_are_on_cronjob_job_and_pod(name: str) -> None:
    body = rendered(name)
    job = body["spec"]["jobTemplate"]
    for metadata in (body["metadata"], job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"][constants.LABEL_PIPELINE] == body["metadata"]["name"]
        assert metadata["annotations"][constants.ANNOTATION_PIPELINE_NAME] == name


def test_no_secret_value_can_be_rendered_since_only_references_are_known() -> None:
    text = json.dumps(rendered("secrets"))
    assert "shop-connection" in text
    assert '"sourceConfig"' not in text


@pytest.mark.parametrize(
    ("changes", "suspended"),
    [
        ({}, False),
        ({"schedule": None}, True),
        ({"suspend": True}, True),
        ({"schedule": {"cron": "@daily", "startDate": at(1)}}, True),
        ({"schedule": {"cron": "@daily", "startDate": at(0)}}, False),
        ({"schedule": {"cron": "@daily", "endDate": at(0)}}, False),
        ({"schedule": {"cron": "@daily", "endDate": at(-1)}}, True),
        ({"schedule": {"cron": "@daily", "startDate": at(-9), "endDate": at(9)}, "suspend": True}, True),
    ],
    ids=str,
)
def test_the_cronjob_is_suspended_without_schedule_when_paused_and_outside_its_dates(
    changes: Body, suspended: bool
) -> None:
    assert cronjob(pipeline(**changes), settings(), NOW)["spec"]["suspend"] is suspended


@pytest.mark.parametrize(
    ("changes", "opens_at"),
    [
        ({"schedule": {"cron": "@daily", "startDate": at(60)}}, at(60)),
        ({"schedule": {"cron": "@daily", "startDate": at(-60)}}, None),
        ({"schedule": {"cron": "@daily", "startDate": at(60)}, "suspend": True}, None),
        ({"schedule": {"cron": "@daily"}}, None),
    ],
    ids=str,
)
def test_a_cronjob_that_waits_for_its_start_date_says_so(changes: Body, opens_at: str | None) -> None:
    annotations = cronjob(pipeline(**changes), settings(), NOW)["metadata"]["annotations"]
    assert annotations.get(constants.ANNOTATION_OPENS_AT) == opens_at


def test_only_time_passing_a_boundary_changes_the_fingerprint() -> None:
    found = pipeline(schedule={"cron": "@daily", "endDate": at(60)})

    def print_at(seconds: float) -> Any:
        body = cronjob(found, settings(), NOW + timedelta(seconds=seconds))
        return body["metadata"]["annotations"][constants.ANNOTATION_FINGERPRINT]

    assert print_at(0) == print_at(60)
    assert print_at(61) != print_at(60)


def test_the_timeout_is_that_of_one_attempt() -> None:
    spec = cronjob(pipeline(timeout="2h"), settings(), NOW)["spec"]["jobTemplate"]["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 7200
    assert "activeDeadlineSeconds" not in spec


def test_a_service_account_that_the_settings_do_not_allow_is_rejected() -> None:
    asking = pipeline(podTemplate={"spec": {"serviceAccountName": "admin"}})
    with pytest.raises(Rejected, match="allowedServiceAccounts") as caught:
        cronjob(asking, settings(allowedServiceAccounts=["other"]), NOW)
    assert caught.value.reason == "ServiceAccountNotAllowed"
    body = cronjob(asking, settings(allowedServiceAccounts=["admin"]), NOW)
    assert body["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] == "admin"


def test_a_run_keeps_its_node_unless_a_template_says_otherwise() -> None:
    template = {"metadata": {"annotations": {SAFE_TO_EVICT: "true"}}}
    for found, said in ((pipeline(), "false"), (pipeline(podTemplate=template), "true")):
        body = cronjob(found, settings(), NOW)
        assert body["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"][SAFE_TO_EVICT] == said


def test_our_own_labels_and_annotations_cannot_be_set_by_a_template() -> None:
    own = {
        constants.ANNOTATION_RUN_ID: "one-for-all",
        constants.ANNOTATION_RUN_INPUT: "{}",
        constants.LABEL_PIPELINE: "another",
        f"{constants.GROUP}/anything": "x",
    }
    template = {
        "metadata": {"annotations": own | {"a": "b"}, "labels": {constants.LABEL_PIPELINE: "another", "c": "d"}}
    }
    for body in (
        cronjob(pipeline(podTemplate=template), settings(), NOW),
        cronjob(pipeline(), settings(podTemplate=template), NOW),
    ):
        metadata = body["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
        assert metadata["annotations"].keys() == {
            constants.ANNOTATION_PIPELINE_NAME, constants.ANNOTATION_RUN_INPUT, SAFE_TO_EVICT, "a",
        }  # fmt: skip
        assert metadata["annotations"][constants.ANNOTATION_RUN_INPUT] != "{}"
        assert metadata["labels"] == body["metadata"]["labels"] | {"c": "d", constants.LABEL_VERSION: "2.0.6.0"}


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
def test_what_no_cronjob_can_be_made_of_is_rejected_with_its_reason(changes: Body, reason: str) -> None:
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
def test_a_type_without_code_is_rejected_with_what_to_use_instead(pipeline_type: str, instead: str) -> None:
    with pytest.raises(Rejected, match=f"'{pipeline_type}'.* no .*{instead}.* instead"):
        cronjob(pipeline(pipelineType=pipeline_type), settings(), NOW)


@pytest.mark.parametrize(
    ("pipeline_type", "kind"),
    [(pipeline_type, kind) for pipeline_type, kinds in RUNNABLE_PIPELINE_TYPES.items() for kind in kinds],
)
def test_every_type_is_rendered_for_every_kind_of_service_that_has_it(pipeline_type: str, kind: str) -> None:
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
