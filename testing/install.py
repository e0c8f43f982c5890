"""Operator and gateway as people without Helm install them: an overlay of manifests/, and kubectl."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import yaml

from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing import chatty
from testing.waiting import wait_for

OPERATOR = "ingestion-operator"
GATEWAY = "ingestion-gateway"
MANIFESTS = CHECKOUT / "manifests"
CRD = CHECKOUT / "crds" / "ingestion.openmetadata.org_ingestionpipelines.yaml"
_ROLLOUT_SECONDS = 120


def settings(runner_image: str, **changes: Any) -> dict[str, Any]:
    """The settings file's content for the runner image that was built here."""
    return {
        "runnerImages": {"2.0": {"image": runner_image, "version": "2.0.6.0"}},
        "defaultServerVersion": "2.0",
        "logArchive": {"url": "file:///var/lib/ingestion-logs"},
        "podTemplatesByPipelineType": {"application": chatty.layer()},
        **changes,
    }


def overlay(base: str, namespace: str, images: dict[str, str], **changes_of_settings: Any) -> dict[str, Any]:
    """The kustomization for a namespace of one's own, with the images that were built here."""
    name, _, tag = images["operator"].rpartition(":")
    file = yaml.safe_dump(settings(images["runner"], **changes_of_settings))
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [base],
        "images": [{"name": OPERATOR, "newName": name, "newTag": tag}],
        "patches": [
            {
                "target": {"kind": "ConfigMap", "name": f"{OPERATOR}-settings"},
                "patch": json.dumps([{"op": "replace", "path": "/data/settings.yaml", "value": file}]),
            }
        ],
    }


def install(cluster: Cluster, namespace: str, images: dict[str, str], **changes_of_settings: Any) -> None:
    """Install the operator, with its CRD, and wait until it is there."""
    with TemporaryDirectory() as folder:
        base = os.path.relpath(MANIFESTS, Path(folder).resolve())  # kustomize takes no absolute path
        content = overlay(base, namespace, images, **changes_of_settings)
        Path(folder, "kustomization.yaml").write_text(json.dumps(content))
        # Forced, since the CRD may be another client's: a release's, or that of a suite before.
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", folder)
    wait_for_rollout(cluster, namespace, OPERATOR)


def install_gateway(cluster: Cluster, namespace: str, images: dict[str, str], *, username: str, password: str) -> None:
    """Install the gateway beside the operator, with one pair of credentials."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/basic-auth",
        "metadata": {"name": f"{GATEWAY}-credentials", "namespace": namespace},
        "stringData": {"username": username, "password": password},
    }
    apply(cluster, secret)
    objects = list(yaml.safe_load_all((MANIFESTS / "gateway.yaml").read_text()))
    for body in objects:
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"]["containers"][0]["image"] = images["operator"]
    text = yaml.safe_dump_all(objects)
    cluster.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=text)
    wait_for_rollout(cluster, namespace, GATEWAY)


def install_crd(cluster: Cluster) -> None:
    """Install this checkout's CustomResourceDefinition and wait until it is served."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(CRD))

    def is_established() -> bool:
        try:
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=10s", "--filename", str(CRD))
        except CommandError:  # also for a new CRD without conditions
            return False
        return True

    wait_for("the CRD to be served", is_established, timeout=30)


def apply(cluster: Cluster, *objects: dict[str, Any]) -> None:
    """kubectl apply, on the server's side, in the order given."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


def wait_for_rollout(cluster: Cluster, namespace: str, deployment: str) -> None:
    """Wait until the newest pods of a Deployment are available."""
    target = f"deployment/{deployment}"
    try:
        cluster.kubectl(
            "-n",
            namespace,
            "rollout",
            "status",
            target,
            f"--timeout={_ROLLOUT_SECONDS}s",
            timeout=_ROLLOUT_SECONDS + 10,
        )
    except CommandError as error:
        log = cluster.kubectl("-n", namespace, "logs", target, "--tail=20", "--all-pods", "--ignore-errors")
        raise AssertionError(f"{target} in {namespace} does not become available:\n{log}") from error


def problems(cluster: Cluster, namespace: str) -> list[str]:
    """What the gateway reports as missing: permissions, the CRD, the operator's Lease."""
    with cluster.forward(namespace, f"deployment/{GATEWAY}", 8081) as port:
        try:
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/status", timeout=20) as answer:
                text = answer.read()
        except HTTPError as error:
            text = error.read()
    return list(json.loads(text)["problems"])
