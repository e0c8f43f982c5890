"""The chart as it is rendered: the results of Helm and its checkers, and that releases do not collide."""

import re
from collections import Counter
from typing import Any

import pytest
import yaml

from ingestion_operator.api.settings import Settings
from testcluster.commands import run
from testcluster.errors import CommandError
from testing.helm import CHART, MAXIMAL, program, template
from tools import generate_chart, render_manifests

VALUES: dict[str, list[str]] = {"default": [], "maximal": ["--values", str(MAXIMAL)]}
Body = dict[str, Any]


@pytest.mark.parametrize("name", sorted(VALUES))
def test_helm_lint_finds_nothing(name: str) -> None:
    run([program("helm"), "lint", "--strict", "--quiet", str(CHART), *VALUES[name]])


def test_its_own_suites_pass() -> None:
    """What one value does, and which values are refused: charts/ingestion-operator/tests."""
    said = run([program("helm-unittest"), "--strict", str(CHART)])
    assert re.search(r"Tests: +\d\d+ passed", said), said


def test_what_is_generated_is_up_to_date() -> None:
    assert [path.name for path, text in generate_chart.generated().items() if path.read_text() != text] == []


def test_the_manifests_are_rendered_from_it() -> None:
    assert [path.name for path, text in render_manifests.rendered().items() if path.read_text() != text] == []


def test_a_value_without_a_description_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"gateway\.replicas has no comment above it"):
        generate_chart.read_values("gateway:\n  replicas: 1\n")


@pytest.mark.parametrize("name", sorted(VALUES))
def test_the_operator_can_read_the_settings(name: str) -> None:
    (text,) = [
        body["data"]["settings.yaml"]
        for body in template("ingestion", "ingestion", *VALUES[name])
        if body["kind"] == "ConfigMap" and "settings.yaml" in body["data"]
    ]
    Settings.model_validate(yaml.safe_load(text), extra="forbid")


def test_every_setting_is_a_value() -> None:
    fields = {field.alias or name for name, field in Settings.model_fields.items()}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values["settings"]) | {"logArchive"} == fields


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "here"), ("b", "here")),
        (("a", "here"), ("a", "there")),
        (("a", "here"), ("a-operator", "here")),
        (("a", "here"), ("a-gateway", "here")),
        (("b-c", "a"), ("c", "a-b")),
    ],
)
@pytest.mark.parametrize("scope", ["namespace", "cluster"])
def test_two_releases_have_no_object_in_common(one: tuple[str, str], other: tuple[str, str], scope: str) -> None:
    names: Counter[tuple[str, str, str]] = Counter()
    for release, namespace in (one, other):
        options = ["--set", "crds.enabled=false,gateway.tls.enabled=true,networkPolicy.enabled=true"]
        options += [
            "--set",
            "metrics.serviceMonitor.enabled=true,metrics.rules.enabled=true,metrics.dashboard.enabled=true",
        ]
        if scope == "cluster":
            options += ["--set", f"watch.scope=cluster,watch.namespaces={{{namespace}}},settings.allowedServers={{om}}"]
        for body in template(release, namespace, *options):
            where = "" if body["kind"].startswith("Cluster") else body["metadata"].get("namespace", namespace)
            names[body["kind"], where, body["metadata"]["name"]] += 1
    assert [name for name, count in names.items() if count > 1] == []


def test_pods_of_two_releases_are_selected_by_their_own_alone() -> None:
    def deployments(release: str) -> dict[str, Body]:
        found = template(release, "here")
        return {body["metadata"]["name"]: body["spec"] for body in found if body["kind"] == "Deployment"}

    every = deployments("a") | deployments("b")
    assert len(every) == 4
    for name, spec in every.items():
        wanted = spec["selector"]["matchLabels"].items()
        assert [other for other, s in every.items() if wanted <= s["template"]["metadata"]["labels"].items()] == [name]


def test_nothing_of_the_whole_cluster_may_read_secrets() -> None:
    objects = template("a", "here", "--set", "watch.scope=cluster,watch.namespaces={here},settings.allowedServers={om}")
    bound = {body["roleRef"]["name"] for body in objects if body["kind"] == "ClusterRoleBinding"}
    roles = [body for body in objects if body["kind"] == "ClusterRole" and body["metadata"]["name"] in bound]
    assert len(roles) == 1
    assert [rule for rule in roles[0]["rules"] if {"secrets", "*"} & set(rule["resources"])] == []


def test_a_name_that_is_too_long_is_refused_with_what_to_do() -> None:
    with pytest.raises(CommandError, match="set fullnameOverride"):
        template("a-name-with-more-than-the-forty-characters-that-fit", "here")


@pytest.mark.parametrize("name", sorted(VALUES))
def test_every_pod_satisfies_the_restricted_standard(name: str) -> None:
    pods = [
        body["spec"]["template"]["spec"]
        for body in template("ingestion", "ingestion", *VALUES[name])
        if body["kind"] == "Deployment"
    ]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
