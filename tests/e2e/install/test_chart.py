"""The chart in a namespace of its own: installed, upgraded and removed as its users do it."""

import base64
import json
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest
import yaml

from testcluster.handle import Cluster
from testing import chatty, held_run, manifests
from testing.archived import archived
from testing.entities import token
from testing.fake_openmetadata_client import FakeServerClient
from testing.first_run import run_a_pipeline
from testing.helm import CHART, Helm
from testing.install import apply, problems, wait_for_rollout
from testing.installation import OWN
from testing.release import RELEASE, built_images
from testing.waiting import wait_for

NAMESPACE = "install"
CRD = "ingestionpipelines.ingestion.openmetadata.org"
CREDENTIALS = "ingestion-gateway-credentials"


class Installation:
    """A release and its namespace; `notes` is what its installation printed."""

    def __init__(self, cluster: Cluster, helm: Helm, values: dict[str, Any]) -> None:
        self.cluster = cluster
        self._helm = helm
        self._values = values
        self._is_plain = False
        self.notes = ""

    def ensure(self) -> None:
        """Install it, or undo what an earlier test has changed; the tests run in any order."""
        if not self._is_plain:
            self.notes = self._helm.install(RELEASE, self._values)
            self._is_plain = True

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the first values."""
        found: dict[str, Any] = self._values["settings"]
        return found

    def upgrade(self, *, chart: Path = CHART, **changes: Any) -> None:
        """helm upgrade: the first values with some changed."""
        self._is_plain = False
        self._helm.install(RELEASE, self._values | changes, chart=chart)

    def rollback(self) -> None:
        """helm rollback: what was there before the last upgrade."""
        self._is_plain = False
        self._helm.rollback(RELEASE)

    def uninstall(self) -> None:
        """helm uninstall."""
        self._is_plain = False
        self._helm.uninstall(RELEASE)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        text = self.cluster.kubectl("-n", NAMESPACE, "get", kind, name, "-o", "json", "--ignore-not-found")
        return dict(json.loads(text)) if text.strip() else None

    def list(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind that carry the labels of `selector`."""
        text = self.cluster.kubectl("-n", NAMESPACE, "get", kind, "-l", selector, "-o", "json")
        return list(json.loads(text)["items"])

    def secret(self, name: str) -> dict[str, str]:
        """What a Secret holds."""
        found = self.get("secret", name)
        assert found is not None, name
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, built: dict[str, str], namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The chart's default values, but for the images that were built here."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    values = {
        "image": built_images(built),
        "settings": {
            "runnerImages": {"2.0": {"image": built["runner"], "version": "2.0.6.0"}},
            "podTemplatesByPipelineType": {"application": chatty.layer()},
        },
    }
    release = Installation(cluster, Helm(cluster, namespace, tmp_path_factory.mktemp("helm")), values)
    yield release
    release.uninstall()  # a namespace that goes as a whole deletes the operator's Role first, and waits for its pod


@pytest.fixture
def installed(installation: Installation) -> Installation:
    """The same, as it is after the first installation."""
    installation.ensure()
    return installation


def test_nothing_is_missing_for_the_gateway(installed: Installation) -> None:
    wait_for("the operator's first Lease", lambda: problems(installed.cluster, NAMESPACE) == [], timeout=30)


def test_a_server_with_the_printed_lines_can_run_a_pipeline(installed: Installation) -> None:
    assert f"PIPELINE_SERVICE_CLIENT_ENDPOINT=http://ingestion-gateway.{NAMESPACE}:8080" in installed.notes
    assert f"get secret {CREDENTIALS} -o jsonpath='{{.data.password}}'" in installed.notes
    secret = installed.secret(CREDENTIALS)
    assert secret["password"] not in installed.notes
    run_a_pipeline(installed.cluster, NAMESPACE, secret["username"], secret["password"])


def test_the_runners_account_has_no_permissions(installed: Installation) -> None:
    def permissions(account: str) -> str:
        user = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
        return installed.cluster.kubectl("-n", NAMESPACE, "auth", "can-i", "--list", user)

    assert installed.get("serviceaccount", "ingestion-runner") is not None
    assert sorted(permissions("ingestion-runner").splitlines()) == sorted(permissions("has-no-role").splitlines())
    assert permissions("ingestion-gateway") != permissions("has-no-role")


def test_an_upgrade_keeps_the_password_and_the_certificate(
    installed: Installation,
) -> None:
    before = installed.secret(CREDENTIALS)
    several: dict[str, Any] = {
        "gateway": {"tls": {"enabled": True}, "replicas": 2},
        "logArchive": {"type": "none"},
        "networkPolicy": {"enabled": True},
        "metrics": {"dashboard": {"enabled": True}},
    }
    installed.upgrade(**several)
    certificate = installed.secret("ingestion-gateway-tls")
    trusting = HTTPSHandler(context=ssl.create_default_context(cadata=certificate["ca.crt"]))
    with installed.cluster.forward(NAMESPACE, "ingestion-gateway", 8080) as port:
        address = f"https://127.0.0.1:{port}/api/v1/openmetadata/health"
        with build_opener(ProxyHandler({}), trusting).open(address, timeout=20) as answer:
            assert json.loads(answer.read())["status"] == "healthy"
    installed.upgrade(**several, commonLabels={"team": "data"})
    assert installed.secret(CREDENTIALS) == before
    assert installed.secret("ingestion-gateway-tls") == certificate


def test_an_upgrade_upgrades_the_crd(installed: Installation, other_chart: Path) -> None:
    columns = printed_columns(installed)
    installed.upgrade(chart=other_chart)
    assert printed_columns(installed) == columns[:-1]
    installed.upgrade()
    assert printed_columns(installed) == columns


@pytest.fixture
def other_chart(tmp_path: Path) -> Path:
    """The chart in another version, whose CRD has one printed column less."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    (file,) = (copy / "files" / "crds").iterdir()
    crd = yaml.safe_load(file.read_text())
    crd["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    file.write_text(yaml.safe_dump(crd))
    about = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.0.1"}))
    return copy


def printed_columns(installed: Installation) -> list[dict[str, Any]]:
    """The columns of kubectl get, as in the cluster's CRD."""
    crd = installed.get("crd", CRD)
    assert crd is not None
    version = crd["spec"]["versions"][0]
    return [{"priority": 0, **column} for column in version["additionalPrinterColumns"]]


def test_a_run_outlives_an_upgrade_and_its_rollback(
    installed: Installation, openmetadata: FakeServerClient, other_chart: Path
) -> None:
    credentials, columns, former = installed.secret(CREDENTIALS), printed_columns(installed), deployments(installed)
    pod = held_run.start(installed.cluster, NAMESPACE, credentials["username"], credentials["password"])
    crd = installed.get("crd", CRD)

    installed.upgrade(chart=other_chart, commonLabels={"team": "data"})
    upgraded = deployments(installed)
    assert [name for name in former if upgraded[name]["template"] == former[name]["template"]] == []
    installed.rollback()
    assert deployments(installed) == former
    assert printed_columns(installed) == columns
    assert installed.secret(CREDENTIALS) == credentials
    assert uid(installed.get("crd", CRD)) == uid(crd)

    (pipeline,) = installed.list("omip")
    (running,) = pipeline["status"]["runs"]
    assert (running["state"], running["attempts"][0]["pod"]) == ("running", pod)
    held_run.end(installed.cluster, NAMESPACE, pod)
    row = openmetadata.wait_for_run(held_run.FQN, timeout=60)
    assert (row["state"], row["terminalStates"]) == ("success", ["success"])

    def recorded() -> list[dict[str, Any]]:
        (found,) = installed.list("omip")
        return [run for run in found["status"]["runs"] if run.get("endTime")]

    (run,) = wait_for("the run's end", recorded, timeout=30)
    assert (run["id"], run["state"], len(run["attempts"])) == (row["runId"], "success", 1)
    log = wait_for("its log", lambda: archived(installed.cluster, NAMESPACE, row["runId"]), timeout=30)
    assert log == installed.cluster.kubectl("-n", NAMESPACE, "logs", pod)
    lines = held_run.lines_in(log)
    assert lines == list(range(len(lines)))
    installed.cluster.kubectl("-n", NAMESPACE, "delete", "omip", pipeline["metadata"]["name"])


@pytest.fixture
def openmetadata(installed: Installation, built: dict[str, str]) -> Iterator[FakeServerClient]:
    """A server that knows the pipeline of the run that is held."""
    apply(
        installed.cluster,
        *manifests.fake_openmetadata(NAMESPACE, built["fake-openmetadata"], token=""),
        held_run.config_map(NAMESPACE),
    )
    wait_for_rollout(installed.cluster, NAMESPACE, manifests.FAKE_OPENMETADATA)
    with installed.cluster.forward(NAMESPACE, manifests.FAKE_OPENMETADATA, manifests.FAKE_OPENMETADATA_PORT) as port:
        fake_server = FakeServerClient(f"http://127.0.0.1:{port}")
        held_run.register(fake_server)
        yield fake_server


def deployments(installed: Installation) -> dict[str, dict[str, Any]]:
    """The specs of operator and gateway."""
    found = installed.list("deployments", f"app.kubernetes.io/instance={RELEASE}")
    assert len(found) == 2
    return {body["metadata"]["name"]: body["spec"] for body in found}


def uid(body: dict[str, Any] | None) -> str:
    """Which one of that name it is."""
    assert body is not None
    return str(body["metadata"]["uid"])


def test_with_scope_cluster_secrets_need_a_listed_namespace(installed: Installation, elsewhere: str) -> None:
    apply(installed.cluster, *(secret(namespace) for namespace in (NAMESPACE, elsewhere)))
    apply(installed.cluster, *(pipeline("named", namespace) for namespace in (NAMESPACE, elsewhere)))
    servers = {"allowedServers": ["openmetadata"]}  # the chart asks for a list here
    installed.upgrade(watch={"scope": "cluster", "namespaces": [NAMESPACE]}, settings=installed.settings | servers)

    def ready(namespace: str) -> tuple[str, str]:
        path = '{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}'
        text = installed.cluster.kubectl("-n", namespace, "get", "omip", "named", "-o", f"jsonpath={path}")
        status, _, reason = text.partition(" ")
        return status, reason

    wait_for("the listed one", lambda: ready(NAMESPACE)[0] == "True", timeout=30)
    wait_for("the other one", lambda: ready(elsewhere) == ("False", "SecretForbidden"), timeout=30)
    assert "CronJob" in installed.cluster.kubectl("-n", elsewhere, "get", "cronjobs", "-o", "yaml")
    wait_for("the gateway to be content", lambda: problems(installed.cluster, NAMESPACE) == [], timeout=30)
    role = f"ingestion-operator:{NAMESPACE}:{RELEASE}"
    assert installed.get("clusterrole", role) is not None
    installed.cluster.kubectl("-n", NAMESPACE, "delete", "omip", "named")
    installed.upgrade()
    assert installed.get("clusterrole", role) is None


@pytest.fixture
def elsewhere(installed: Installation) -> Iterator[str]:
    """Another namespace, which no value names."""
    name = f"{NAMESPACE}-elsewhere"
    metadata = {"name": name, "labels": {OWN: "install"}}
    apply(installed.cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield name
    installed.cluster.kubectl("delete", "namespace", name, "--timeout=60s", timeout=70)


def secret(namespace: str) -> dict[str, Any]:
    """The Secret with a pipeline's token."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bot", "namespace": namespace},
        "stringData": {"token": token()},
    }


def pipeline(name: str, namespace: str) -> dict[str, Any]:
    """An IngestionPipeline that names that Secret and runs on demand."""
    return {
        "apiVersion": "ingestion.openmetadata.org/v1alpha1",
        "kind": "IngestionPipeline",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "pipelineType": "metadata",
            "service": {"type": "databaseService", "name": "shop"},
            "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
            "server": {
                "hostPort": "http://openmetadata:8585/api",
                "tokenSecretRef": {"name": "bot", "key": "token"},
            },
        },
    }


def test_what_is_uninstalled_goes_but_for_pipelines_and_logs(installed: Installation) -> None:
    apply(installed.cluster, secret(NAMESPACE), pipeline("kept", NAMESPACE))
    wait_for("its CronJob", lambda: (installed.get("omip", "kept") or {}).get("status"), timeout=20)
    installed.uninstall()
    assert installed.get("deployment", "ingestion-operator") is None
    assert installed.get("secret", CREDENTIALS) is None
    assert installed.get("omip", "kept") is not None
    assert installed.get("pvc", "ingestion-logs") is not None

    # Installed again it takes over what stayed; set not to keep it, it leaves nothing behind and does not wait.
    installed.upgrade(crds={"keep": False}, logArchive={"volume": {"keep": False}})
    installed.uninstall()
    assert installed.get("crd", CRD) is None
    assert installed.get("pvc", "ingestion-logs") is None
