import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.k8s.quantities import parse_quantity
from ingestion_operator.render.cronjob import cronjob
from testing.golden import GOLDEN, rendered
from testing.objects import NOW, Body, at, pipeline, refingerprint, settings

WORD = st.from_regex("[A-Z][A-Z]{0,5}", fullmatch=True).filter(lambda word: word != "HOME")
LIMITS = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["100m", "1", "1Gi"]))
TEMPLATES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(WORD, WORD, max_size=2),
                "annotations": st.dictionaries(WORD, WORD, max_size=2),
            },
        ),
        "container": st.fixed_dictionaries(
            {},
            optional={
                "env": st.lists(WORD, unique=True, max_size=3).map(lambda n: [{"name": x, "value": x} for x in n]),
                "resources": LIMITS.map(lambda limits: {"limits": limits}),
            },
        ),
        "spec": st.fixed_dictionaries({}, optional={"nodeSelector": st.dictionaries(WORD, WORD, max_size=2)}),
    },
)

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"


def job_spec(found: Pipeline, used: Settings | None = None) -> Body:
    body: Body = cronjob(found, used or settings(), NOW)["spec"]["jobTemplate"]["spec"]
    return body


def runner(found: Pipeline, used: Settings | None = None) -> Body:
    (container,) = job_spec(found, used)["template"]["spec"]["containers"]
    body: Body = container
    return body


def limits(memory: str) -> Body:
    return {"container": {"resources": {"limits": {"memory": memory}}}}


@given(TEMPLATES, TEMPLATES)
def test_rendering_is_deterministic_and_changes_no_input(lower: Body, upper: Body) -> None:
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


def test_no_secret_value_can_be_rendered() -> None:
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
def test_the_cronjob_is_suspended_unless_its_schedule_applies(changes: Body, suspended: bool) -> None:
    assert cronjob(pipeline(**changes), settings(), NOW)["spec"]["suspend"] is suspended


@pytest.mark.parametrize(
    ("changes", "window_opens_at"),
    [
        ({"schedule": {"cron": "@daily", "startDate": at(60)}}, at(60)),
        ({"schedule": {"cron": "@daily", "startDate": at(-60)}}, None),
        ({"schedule": {"cron": "@daily", "startDate": at(60)}, "suspend": True}, None),
        ({"schedule": {"cron": "@daily"}}, None),
    ],
    ids=str,
)
def test_a_cronjob_that_waits_for_its_start_date_has_a_note(changes: Body, window_opens_at: str | None) -> None:
    annotations = cronjob(pipeline(**changes), settings(), NOW)["metadata"]["annotations"]
    assert annotations.get(constants.ANNOTATION_WINDOW_OPENS_AT) == window_opens_at


def test_only_time_passing_a_boundary_changes_the_fingerprint() -> None:
    found = pipeline(schedule={"cron": "@daily", "endDate": at(60)})

    def print_at(seconds: float) -> Any:
        body = cronjob(found, settings(), NOW + timedelta(seconds=seconds))
        return body["metadata"]["annotations"][constants.ANNOTATION_FINGERPRINT]

    assert print_at(0) == print_at(60)
    assert print_at(61) != print_at(60)


@pytest.mark.parametrize(
    ("changes", "used", "seconds"),
    [
        ({"timeout": "2h"}, {}, 7200),
        ({"timeout": "2h"}, {"defaultTimeout": "1h"}, 7200),
        ({}, {"defaultTimeout": "1h"}, 3600),
        ({}, {}, 86_400),
        ({}, {"defaultTimeout": 0}, None),
    ],
)
def test_the_timeout_is_that_of_one_attempt(changes: Body, used: Body, seconds: int | None) -> None:
    spec = job_spec(pipeline(**changes), settings(**used))
    assert spec["template"]["spec"].get("activeDeadlineSeconds") == seconds
    assert "activeDeadlineSeconds" not in spec


def test_the_longest_durations_fit_into_an_int32() -> None:
    spec = job_spec(pipeline(history={"ttl": "365d"}, timeout="8760h"))
    assert spec["ttlSecondsAfterFinished"] == spec["template"]["spec"]["activeDeadlineSeconds"] == 31_536_000 < 2**31


def test_a_job_is_one_pod_that_completes_once() -> None:
    spec = job_spec(pipeline())
    assert (spec["completions"], spec["parallelism"]) == (1, 1)


@pytest.mark.parametrize(("asked", "rendered"), [(0, 1), (1, 1), (100, 100)])
def test_kubernetes_keeps_one_job_until_its_end_is_recorded(asked: int, rendered: int) -> None:
    spec = cronjob(pipeline(history={"successful": asked, "failed": asked}), settings(), NOW)["spec"]
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (rendered, rendered)


@pytest.mark.parametrize("policy", ["Forbid", "Allow", "Replace"])
def test_the_concurrency_policy_is_kubernetes_own(policy: str) -> None:
    body = cronjob(pipeline(concurrency={"policy": policy}), settings(), NOW)
    assert body["spec"]["concurrencyPolicy"] == policy


def test_a_lower_limit_cuts_the_built_in_requests() -> None:
    lower = {"container": {"resources": {"limits": {"memory": "400Mi", "cpu": "100m", "ephemeral-storage": "50Mi"}}}}
    for found, used in ((pipeline(podTemplate=lower), settings()), (pipeline(), settings(podTemplate=lower))):
        resources = runner(found, used)["resources"]
        assert resources["requests"] == resources["limits"] == lower["container"]["resources"]["limits"]


def test_a_request_stays_where_a_stronger_layer_raises_the_limit() -> None:
    resources = runner(pipeline(podTemplate=limits("1Gi")), settings(podTemplate=limits("400Mi")))["resources"]
    assert (resources["requests"]["memory"], resources["limits"]["memory"]) == ("512Mi", "1Gi")


def test_a_request_above_its_limit_is_left_to_kubernetes() -> None:
    wrong = {"container": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}}
    resources = runner(pipeline(podTemplate=wrong))["resources"]
    assert (resources["requests"]["memory"], resources["limits"]["memory"]) == ("2Gi", "1Gi")


def test_a_lower_limit_cuts_the_requests_of_a_sidecar_too() -> None:
    def sidecar(**resources: Body) -> Body:
        return {"sidecars": [{"name": "proxy", "image": "x", "resources": resources}]}

    used = settings(podTemplate=sidecar(requests={"memory": "64Mi", "cpu": "1"}))
    spec = job_spec(pipeline(podTemplate=sidecar(limits={"memory": "32Mi", "cpu": 2})), used)
    (found,) = spec["template"]["spec"]["initContainers"]
    assert found["resources"] == {
        "requests": {"memory": "32Mi", "cpu": "1"},
        "limits": {"memory": "32Mi", "cpu": "2"},
    }


@given(st.lists(TEMPLATES, max_size=3), TEMPLATES)
def test_no_request_of_the_built_in_layer_exceeds_a_limit(services: list[Body], own: Body) -> None:
    used = settings(podTemplatesByService=[{"podTemplate": layer} for layer in services])
    resources = runner(pipeline(podTemplate=own), used)["resources"]
    for name, limit in resources["limits"].items():
        assert parse_quantity(resources["requests"].get(name, "0")) <= parse_quantity(limit)


def test_scratch_space_is_requested_and_bounded_as_set() -> None:
    for used, size, request in (
        (settings(), {"sizeLimit": "4Gi"}, "100Mi"),
        (settings(scratch={"sizeLimit": "20Gi", "request": "1Gi"}), {"sizeLimit": "20Gi"}, "1Gi"),
        (settings(scratch={"sizeLimit": 0}), {}, "100Mi"),
    ):
        assert {"name": "tmp", "emptyDir": size} in job_spec(pipeline(), used)["template"]["spec"]["volumes"]
        assert runner(pipeline(), used)["resources"]["requests"]["ephemeral-storage"] == request


def test_a_template_may_request_other_scratch_space() -> None:
    template = {"container": {"resources": {"requests": {"ephemeral-storage": "2Gi"}}}}
    assert runner(pipeline(podTemplate=template))["resources"]["requests"]["ephemeral-storage"] == "2Gi"


def annotations(found: Pipeline, used: Settings | None = None) -> Body:
    body: Body = job_spec(found, used)["template"]["metadata"]["annotations"]
    return body


def noted(**values: str) -> Body:
    keys = {"evict": SAFE_TO_EVICT, "disrupt": DO_NOT_DISRUPT, "other": "example.com/other"}
    return {"metadata": {"annotations": {keys[key]: value for key, value in values.items()}}}


def test_a_run_keeps_its_node_unless_a_template_changes_it() -> None:
    for found, evict, disrupt in (
        (pipeline(), "false", "true"),
        (pipeline(podTemplate=noted(evict="true", disrupt="false")), "true", "false"),
    ):
        assert (annotations(found)[SAFE_TO_EVICT], annotations(found)[DO_NOT_DISRUPT]) == (evict, disrupt)


def test_an_empty_value_removes_only_the_nodes_annotations() -> None:
    empty = noted(evict="", disrupt="", other="")
    for found, used in ((pipeline(podTemplate=empty), settings()), (pipeline(), settings(podTemplate=empty))):
        assert not annotations(found, used).keys() & {SAFE_TO_EVICT, DO_NOT_DISRUPT}
        assert not annotations(found, used)["example.com/other"]
    again = annotations(pipeline(podTemplate=noted(disrupt="true")), settings(podTemplate=empty))
    assert again[DO_NOT_DISRUPT] == "true"
    assert SAFE_TO_EVICT not in again


def test_a_template_cannot_set_our_labels_and_annotations() -> None:
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
            constants.ANNOTATION_PIPELINE_NAME, constants.ANNOTATION_RUN_INPUT,
            SAFE_TO_EVICT, DO_NOT_DISRUPT, "a",
        }  # fmt: skip
        assert metadata["annotations"][constants.ANNOTATION_RUN_INPUT] != "{}"
        assert metadata["labels"] == body["metadata"]["labels"] | {"c": "d", constants.LABEL_VERSION: "2.0.6.0"}
