"""charts/ingestion-operator/ci/maximal-values.yaml, installed and not only rendered.

What it names is made beforehand: namespaces, Secrets, a bucket behind a certificate of an authority of our own. The two
kinds of the Prometheus operator are CRDs that accept anything: that operator is not installed here, so nothing checks
their content. Its NetworkPolicies are enforced meanwhile.
"""

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.constants import LABEL_WARM_POOL
from testcluster.handle import Cluster
from testing import s3_pod
from testing.first_run import run_a_pipeline
from testing.helm import MAXIMAL, Helm
from testing.install import apply, wait_for_rollout
from testing.installation import OWN
from testing.release import built_images
from testing.s3_pod import S3Pod
from testing.waiting import wait_for

NAMESPACE: Final = "install-maximal"
RELEASE: Final = "everything"
VALUES: Final[dict[str, Any]] = yaml.safe_load(MAXIMAL.read_text())
TEAMS: Final[list[str]] = VALUES["watch"]["namespaces"]
BUCKET: Final[str] = VALUES["logArchive"]["bucket"]["url"]
GATEWAY: Final = f"{VALUES['fullnameOverride']}-gateway"
OF_PROMETHEUS: Final = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}


def values(built: dict[str, str]) -> dict[str, Any]:
    """The file's, but for what no machine without that registry and that cloud has."""
    changed: dict[str, Any] = yaml.safe_load(MAXIMAL.read_text())
    changed["image"] = built_images(built)
    changed["settings"]["runnerImages"]["2.0"] = {"image": built["runner"], "version": "2.0.6.0"}
    changed["gateway"]["service"]["type"] = "ClusterIP"  # a load balancer gets no address here, and Helm waits for it
    return changed


@pytest.fixture(scope="module")
def bucket(cluster: Cluster, namespace: str) -> Iterator[S3Pod]:
    """All that the values take for granted; the bucket is for looking into it."""
    remove_surroundings(cluster)
    server = S3Pod(namespace, urlsplit(BUCKET).netloc)
    image = s3_pod.load_image(cluster)
    spaces = [named("v1", "Namespace", name, labels={OWN: "install"}) for name in TEAMS]
    registry = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": '{"auths": {}}'}}
    (collector,) = [
        variable["valueFrom"]["secretKeyRef"] for variable in VALUES["operator"]["extraEnv"] if "valueFrom" in variable
    ]
    archive, authority = VALUES["logArchive"]["bucket"]["existingSecret"], VALUES["operator"]["extraVolumes"][0]
    apply(
        cluster,
        *(crd(kind, plural) for kind, plural in OF_PROMETHEUS.items() if is_missing(cluster, plural)),
        *spaces,
        *(named("v1", "Secret", "registry", namespace=name, **registry) for name in (namespace, *TEAMS)),
        *server.objects(image),
        named("v1", "Secret", archive, namespace=namespace, stringData=server.environment()),
        named("v1", "Secret", collector["name"], namespace=namespace, stringData={collector["key"]: "x-key=secret"}),
        named(
            "v1",
            "ConfigMap",
            authority["configMap"]["name"],
            namespace=namespace,
            data={"ca.pem": server.authority.cert_pem.bytes().decode()},
        ),
    )
    wait_for_rollout(cluster, namespace, s3_pod.NAME)
    yield server
    remove_surroundings(cluster, wait=False)


def remove_surroundings(cluster: Cluster, *, wait: bool = True) -> None:
    """What this module has made beside its namespace, and nothing that was there before."""
    for kind, names in (
        ("crd", [f"{one}.monitoring.coreos.com" for one in OF_PROMETHEUS.values()]),
        ("namespace", TEAMS),
    ):
        for name in names:
            selection = ("-l", OWN, f"--field-selector=metadata.name={name}")
            cluster.kubectl("delete", kind, *selection, f"--wait={str(wait).lower()}", "--timeout=90s", timeout=100)


def named(api_version: str, kind: str, name: str, *, namespace: str = "", **fields: Any) -> dict[str, Any]:
    """An object; `labels` go into its metadata."""
    metadata = {"name": name, "labels": fields.pop("labels", {})} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def is_missing(cluster: Cluster, plural: str) -> bool:
    """Whether the cluster does not know a kind of the Prometheus operator."""
    return not cluster.kubectl("get", "crd", f"{plural}.monitoring.coreos.com", "--ignore-not-found").strip()


def crd(kind: str, plural: str) -> dict[str, Any]:
    """A CRD that accepts anything."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "monitoring.coreos.com",
        "names": {"kind": kind, "plural": plural},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    name = f"{plural}.monitoring.coreos.com"
    return named("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, labels={OWN: "install"}, spec=spec)


def test_the_maximal_release_works_and_leaves_nothing(
    cluster: Cluster, built: dict[str, str], bucket: S3Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = Helm(cluster, NAMESPACE, tmp_path)
    with cluster.enforcing_policies():
        helm.install(RELEASE, values(built))  # returns when every pod of both workloads is ready
        try:
            (team, *_) = TEAMS
            tls = ssl.create_default_context(cadata=secret(cluster, f"{GATEWAY}-tls")["ca.crt"])
            pair = secret(cluster, f"{GATEWAY}-credentials")
            run_a_pipeline(
                cluster,
                NAMESPACE,
                pair["username"],
                pair["password"],
                gateway=(GATEWAY, VALUES["gateway"]["service"]["port"]),
                tls=tls,
                runs_in=team,
                account="default",  # with the scope cluster the release has no service account
            )
            wait_for("its log in the bucket", lambda: stored(cluster, bucket, tmp_path, monkeypatch), timeout=30)
            wait_for("the warm pods", lambda: ready(cluster, team, LABEL_WARM_POOL) == 2, timeout=60)
        finally:
            helm.uninstall(RELEASE)
    wait_for("everything of the release to be gone", lambda: not left(cluster), timeout=30)


def secret(cluster: Cluster, name: str) -> dict[str, str]:
    """What a Secret of the release holds."""
    data = json.loads(cluster.kubectl("-n", NAMESPACE, "get", "secret", name, "-o", "json"))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def stored(cluster: Cluster, bucket: S3Pod, folder: Path, environment: pytest.MonkeyPatch) -> list[str]:
    """The keys of what is in the archive."""
    authority = folder / "authority.pem"
    bucket.authority.cert_pem.write_to_path(authority)
    with cluster.forward(NAMESPACE, s3_pod.NAME, s3_pod.PORT) as port:
        reported = bucket.environment(f"https://127.0.0.1:{port}") | {"SSL_CERT_FILE": str(authority), "NO_PROXY": "*"}
        for name, value in reported.items():
            environment.setenv(name, value)
        return [found.key for found in ObjectStore(BUCKET, create=False).list("")]


def ready(cluster: Cluster, namespace: str, selector: str) -> int:
    """How many pods are ready."""
    listed = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
    conditions = [one for pod in listed for one in pod["status"].get("conditions", [])]
    return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def left(cluster: Cluster) -> list[str]:
    """What the cluster still has of the release, of any kind, in any namespace."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    selector = f"app.kubernetes.io/instance={RELEASE}"
    return cluster.kubectl("get", ",".join(kinds), "--all-namespaces", "-l", selector, "-o", "name").split()
