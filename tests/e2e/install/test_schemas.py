"""What the chart renders, against the API server's own description of its kinds."""

import pytest
import yaml

from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testing.helm import MAXIMAL, template, template_text
from testing.kubernetes_schemas import conform, of_server, write_schemas


@pytest.fixture(scope="module")
def location(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where kubeconform finds the schemas."""
    return write_schemas(of_server(cluster), tmp_path_factory.mktemp("schemas"))


@pytest.mark.parametrize("options", [[], ["--values", str(MAXIMAL)]], ids=["default", "maximal"])
def test_everything_conforms(location: str, options: list[str]) -> None:
    conform(location, template_text("ingestion", "ingestion", *options))


@pytest.mark.parametrize(("field", "value"), [("replicas", "two"), ("replica", 2)])
def test_what_does_not_conform_is_found(location: str, field: str, value: object) -> None:
    (body,) = [b for b in template("a", "a") if b["metadata"]["name"] == "a-operator" and b["kind"] == "Deployment"]
    body["spec"][field] = value
    with pytest.raises(CommandError, match=field):
        conform(location, yaml.safe_dump(body))
