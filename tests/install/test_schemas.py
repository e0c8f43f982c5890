"""What the chart renders, against the API server's own description of its kinds."""

import pytest
import yaml

from tests.cluster.commands import run
from tests.cluster.errors import CommandError
from tests.cluster.handle import Cluster
from tests.support.helm import MAXIMAL, program, template
from tests.support.kubernetes_schemas import write_schemas

OF_PROMETHEUS = "ServiceMonitor,PrometheusRule"
"""Kinds of the Prometheus operator, which the API server of the test bed does not know."""


@pytest.fixture(scope="module")
def location(bed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where kubeconform finds the schemas."""
    return write_schemas(bed, tmp_path_factory.mktemp("schemas"))


def conform(location: str, text: str) -> None:
    """Raise CommandError with what does not conform."""
    words = ["-schema-location", location, "-skip", OF_PROMETHEUS, "-output", "text"]
    run([program("kubeconform"), *words, "-"], stdin=text)


@pytest.mark.parametrize("options", [[], ["--values", str(MAXIMAL)]], ids=["default", "maximal"])
def test_everything_conforms(location: str, options: list[str]) -> None:
    conform(location, yaml.safe_dump_all(template("ingestion", "ingestion", *options)))


@pytest.mark.parametrize(("field", "value"), [("replicas", "two"), ("replica", 2)])
def test_what_does_not_conform_is_found(location: str, field: str, value: object) -> None:
    (body,) = [b for b in template("a", "a") if b["metadata"]["name"] == "a-operator" and b["kind"] == "Deployment"]
    body["spec"][field] = value
    with pytest.raises(CommandError, match=field):
        conform(location, yaml.safe_dump(body))
