"""The chart in a namespace of its own: installed, upgraded and removed as its users do it."""

import base64
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.handle import Cluster
from tests.support.entities import entity, token
from tests.support.helm import CHART, Helm
from tests.support.installation import apply
from tests.support.server_client import ServerClient
from tests.support.waiting import wait_for

NAMESPACE = "install"
RELEASE = "ingestion"
DEFINITION = "ingestionpipelines.ingestion.openmetadata.org"
CREDENTIALS = "ingestion-gateway-credentials"


class Installation:
    """The namespace, and what was printed at the installation."""

    def __init__(self, cluster: Cluster, helm: Helm, values: dict[str, Any]) -> None:
        self.cluster = cluster
        self.helm = helm
        self.values = values
        self.notes = helm.install(RELEASE, values)

    def upgrade(self, **changes: Any) -> None:
        """helm upgrade with more values."""
        self.values = self.values | changes
        self.helm.install(RELEASE, self.values)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        text = self.cluster.kubectl("-n", NAMESPACE, "get", kind, name, "-o", "json", "--ignore-not-found")
        return dict(json.loads(text)) if text.strip() else None

    def secret(self, name: str) -> dict[str, str]:
        """What a Secret holds."""
        found = self.get("secret", name)
        assert found is not None, name
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.fixture(scope="module")
def installed(bed: Cluster, built: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart's default values, but for the images that were built here."""
    delete_namespace(bed)
    bed.kubectl("delete", "crd", DEFINITION, "--ignore-not-found", "--timeout=60s", timeout=70)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(bed, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": restricted}})
    repository, _, tag = built["operator"].rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "settings": {"runnerImages": {"2.0": {"image": built["runner"], "version": "2.0.6.0"}}},
    }
    yield Installation(bed, Helm(bed, NAMESPACE, tmp_path_factory.mktemp("helm")), values)
    delete_namespace(bed)


def delete_namespace(bed: Cluster) -> None:
    """Delete it and wait until it is gone."""
    bed.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s", timeout=100)


def test_a_server_that_was_told_the_printed_lines_can_run_a_pipeline(installed: Installation) -> None:
    assert f"PIPELINE_SERVICE_CLIENT_ENDPOINT=http://ingestion-gateway.{NAMESPACE}:8080" in installed.notes
    assert f"get secret {CREDENTIALS} -o jsonpath='{{.data.password}}'" in installed.notes
    secret = installed.secret(CREDENTIALS)
    assert secret["password"] not in installed.notes
    with installed.cluster.forward(NAMESPACE, "ingestion-gateway", 8080) as port:
        server = ServerClient.new(port, username=secret["username"], password=secret["password"])
        assert server.deploy(entity(jwt=token(serial=1))).message
        run = str(uuid.uuid4())
        assert server.trigger("nightly", {"pipelineRunId": run}).message
        (pod,) = wait_for("the run's pod to run", lambda: started_pods(installed), timeout=60)
        assert pod["spec"]["serviceAccountName"] == "ingestion-runner"
        assert not [volume for volume in pod["spec"]["volumes"] if "projected" in volume], "a token is mounted"
        assert server.kill("nightly").message
        assert server.delete("nightly").message
        server.close()


def started_pods(installed: Installation) -> list[dict[str, Any]]:
    """The pods of runs whose container runs."""
    selector = "app.kubernetes.io/managed-by=ingestion-operator"
    text = installed.cluster.kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "json")
    statuses = [(pod, pod["status"].get("containerStatuses", [])) for pod in json.loads(text)["items"]]
    return [pod for pod, containers in statuses if any("running" in one["state"] for one in containers)]


def test_the_runners_account_may_do_no_more_than_one_without_any_role(installed: Installation) -> None:
    def rights(account: str) -> str:
        user = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
        return installed.cluster.kubectl("-n", NAMESPACE, "auth", "can-i", "--list", user)

    assert installed.get("serviceaccount", "ingestion-runner") is not None
    assert sorted(rights("ingestion-runner").splitlines()) == sorted(rights("has-no-role").splitlines())
    assert rights("ingestion-gateway") != rights("has-no-role")


def test_an_upgrade_keeps_the_password_and_brings_a_certificate_that_the_next_one_keeps(
    installed: Installation,
) -> None:
    before = installed.secret(CREDENTIALS)
    installed.upgrade(gateway={"tls": {"enabled": True}})
    certificate = installed.secret("ingestion-gateway-tls")
    assert sorted(certificate) == ["ca.crt", "tls.crt", "tls.key"]
    installed.upgrade(commonLabels={"team": "data"})
    assert installed.secret(CREDENTIALS) == before
    assert installed.secret("ingestion-gateway-tls") == certificate


def test_an_upgrade_upgrades_the_definition(installed: Installation, tmp_path: Path) -> None:
    earlier = tmp_path / "chart"
    shutil.copytree(CHART, earlier)
    (file,) = (earlier / "files" / "crds").iterdir()
    definition = yaml.safe_load(file.read_text())
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    assert printed_columns(installed) == columns
    dropped = columns.pop()
    file.write_text(yaml.safe_dump(definition))

    installed.helm.install(RELEASE, installed.values, chart=earlier)
    assert printed_columns(installed) == columns
    installed.upgrade()
    assert printed_columns(installed) == [*columns, dropped]


def printed_columns(installed: Installation) -> list[dict[str, Any]]:
    """The columns of kubectl get, as the cluster's definition has them."""
    definition = installed.get("crd", DEFINITION)
    assert definition is not None
    version = definition["spec"]["versions"][0]
    return [{"priority": 0, **column} for column in version["additionalPrinterColumns"]]


def test_what_is_uninstalled_goes_but_for_pipelines_and_logs(installed: Installation) -> None:
    with_pipeline = {
        "apiVersion": "ingestion.openmetadata.org/v1alpha1",
        "kind": "IngestionPipeline",
        "metadata": {"name": "kept", "namespace": NAMESPACE},
        "spec": {
            "pipelineType": "metadata",
            "service": {"type": "databaseService", "name": "shop"},
            "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
            "server": {"hostPort": "http://openmetadata:8585/api"},
        },
    }
    apply(installed.cluster, with_pipeline)
    wait_for("its CronJob", lambda: (installed.get("omip", "kept") or {}).get("status"), timeout=20)
    installed.helm.uninstall(RELEASE)
    assert installed.get("deployment", "ingestion-operator") is None
    assert installed.get("secret", CREDENTIALS) is None
    assert installed.get("omip", "kept") is not None
    assert installed.get("pvc", "ingestion-logs") is not None

    # Installed again it takes over what stayed; told not to keep it, it leaves nothing behind and waits for nobody.
    installed.upgrade(crds={"keep": False}, logArchive={"volume": {"keep": False}})
    installed.helm.uninstall(RELEASE)
    assert installed.get("crd", DEFINITION) is None
    assert installed.get("pvc", "ingestion-logs") is None
