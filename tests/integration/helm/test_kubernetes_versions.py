"""What the chart renders and what the operator makes of pipelines, against the schemas of each Kubernetes supported."""

import json
import re

import pytest
import yaml

from testcluster.binaries import KUBERNETES_VERSION
from testcluster.errors import CommandError
from testing.golden import GOLDEN
from testing.golden import rendered as cronjob_of
from testing.helm import CHART, MAXIMAL, template_text
from testing.install import MANIFESTS
from testing.kubernetes_schemas import conform, of_release, write_schemas

Locations = dict[int, str]


def minor_in(text: str) -> int:
    found = re.search(r"1\.(\d+)\.", text)
    assert found is not None, text
    return int(found[1])


OLDEST = minor_in(yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
NEWEST = minor_in(KUBERNETES_VERSION)
MINORS = range(OLDEST, NEWEST + 1)
"""From the oldest that the chart allows to that of the test cluster."""


@pytest.fixture(scope="module")
def locations(tmp_path_factory: pytest.TempPathFactory) -> Locations:
    """Where kubeconform finds the schemas of each."""
    return {minor: write_schemas(of_release(minor), tmp_path_factory.mktemp(f"1.{minor}")) for minor in MINORS}


def rendered(minor: int) -> list[str]:
    """A release with default and one with maximal values."""
    version = f"--kube-version=1.{minor}.0"
    return [template_text("a", "a", version), template_text("b", "b", version, "--values", str(MAXIMAL))]


def manifests() -> list[str]:
    """What kubectl applies for people without Helm."""
    return [file.read_text() for file in MANIFESTS.glob("*.yaml") if file.name != "kustomization.yaml"]


def cronjobs() -> list[str]:
    """What the operator makes of pipelines."""
    return [json.dumps(cronjob_of(name)) for name in GOLDEN]


@pytest.mark.parametrize("minor", MINORS)
def test_every_kubernetes_that_is_supported_knows_every_field(locations: Locations, minor: int) -> None:
    conform(locations[minor], "\n---\n".join([*rendered(minor), *manifests(), *cronjobs()]))


def test_a_field_that_came_with_a_later_kubernetes_is_found(locations: Locations) -> None:
    cronjob = cronjob_of("smallest")
    cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["hostnameOverride"] = "since-1-34"
    for minor in MINORS:
        if minor < 34:
            with pytest.raises(CommandError, match="hostnameOverride"):
                conform(locations[minor], json.dumps(cronjob))
        else:
            conform(locations[minor], json.dumps(cronjob))
