"""The operator as its users install it: manifests/ for a namespace of one's own."""

import json
from typing import Any

import yaml

from tests.cluster.errors import CommandError
from tests.cluster.handle import Cluster
from tests.cluster.locations import CHECKOUT
from tests.support import chatty
from tests.support.waiting import wait_for

OPERATOR = "ingestion-operator"
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


def manifests(
    cluster: Cluster, namespace: str, images: dict[str, str], **changes_of_settings: Any
) -> list[dict[str, Any]]:
    """The objects of manifests/, moved to `namespace`, with the images that were built here."""
    rendered = cluster.kubectl("kustomize", str(CHECKOUT / "manifests"))
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(rendered))
    for body in objects:
        if body["kind"] == "Namespace":
            body["metadata"]["name"] = namespace
        elif "namespace" in body["metadata"]:
            body["metadata"]["namespace"] = namespace
        if body["kind"] == "RoleBinding":
            body["subjects"][0]["namespace"] = namespace
        if body["kind"] == "ConfigMap":
            body["data"]["settings.yaml"] = yaml.safe_dump(settings(images["runner"], **changes_of_settings))
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"]["containers"][0]["image"] = images["operator"]
    return objects


def install_gateway(cluster: Cluster, namespace: str, images: dict[str, str], *, username: str, password: str) -> None:
    """Install the gateway beside the operator, with one pair of credentials."""
    objects = list(yaml.safe_load_all((CHECKOUT / "manifests" / "gateway.yaml").read_text()))
    for body in objects:
        body["metadata"]["namespace"] = namespace
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"]["containers"][0]["image"] = images["operator"]
        if body["kind"] == "RoleBinding":
            body["subjects"][0]["namespace"] = namespace
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/basic-auth",
        "metadata": {"name": "ingestion-gateway-credentials", "namespace": namespace},
        "stringData": {"username": username, "password": password},
    }
    apply(cluster, secret, *objects)
    wait_for_rollout(cluster, namespace, "ingestion-gateway")


def install_definition(cluster: Cluster) -> None:
    """Install this checkout's CustomResourceDefinition and wait until it is served."""
    definition = str(CHECKOUT / "crds" / "ingestion.openmetadata.org_ingestionpipelines.yaml")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", definition)
    _wait_until_established(cluster, "--filename", definition)


def apply(cluster: Cluster, *objects: dict[str, Any]) -> None:
    """kubectl apply, on the server's side, in the order given."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


def install(cluster: Cluster, namespace: str, images: dict[str, str], **changes_of_settings: Any) -> None:
    """Install the operator and wait until it is there."""
    objects = manifests(cluster, namespace, images, **changes_of_settings)
    definitions = [body for body in objects if body["kind"] in ("Namespace", "CustomResourceDefinition")]
    apply(cluster, *definitions)
    _wait_until_established(cluster, "crd", "-l", "!none")
    apply(cluster, *(body for body in objects if body not in definitions))
    wait_for_rollout(cluster, namespace, OPERATOR)


def _wait_until_established(cluster: Cluster, *definitions: str) -> None:
    def is_established() -> bool:
        try:
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=10s", *definitions)
        except CommandError:  # also where a definition is so new that it has no conditions yet
            return False
        return True

    wait_for("the definition to be served", is_established, timeout=30)


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
