"""What an administrator's settings put under every pipeline, in the cluster as it is installed."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from testing import installation as installations
from testing.install import OPERATOR
from testing.installation import Installation
from testing.waiting import wait_for

TOLERATION = {"key": "ingestion", "operator": "Exists", "effect": "NoSchedule"}
LAYER = {
    "metadata": {"annotations": {"example.com/owner": "data"}},
    "spec": {"tolerations": [TOLERATION], "volumes": [{"name": "ca", "secret": {"secretName": "company-ca"}}]},
    "container": {"volumeMounts": [{"name": "ca", "mountPath": "/certs", "readOnly": True}]},
}


def read_settings(installation: Installation) -> tuple[str, dict[str, Any]]:
    """The ConfigMap's name, and the settings in it."""
    (found,) = [one for one in installation.list("configmaps") if "settings.yaml" in one.get("data", {})]
    return found["metadata"]["name"], dict(yaml.safe_load(found["data"]["settings.yaml"]))


def write_settings(installation: Installation, content: dict[str, Any]) -> None:
    """Change the ConfigMap, and have the kubelet bring it to the operator's pod now rather than in a minute."""
    name, _ = read_settings(installation)
    data = {"settings.yaml": yaml.safe_dump(content)}
    installation.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    version = installation.get("configmap", name)["metadata"]["resourceVersion"]  # type: ignore[index]
    installation.kubectl(
        "annotate", "--overwrite", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", f"settings={version}"
    )


@pytest.fixture
def installed(installation: Installation) -> Iterator[dict[str, Any]]:
    """The settings as the chart has written them; so they are again afterwards."""
    _, content = read_settings(installation)
    yield content
    write_settings(installation, content)


def template(installation: Installation, cronjob: str) -> dict[str, Any]:
    """The pod template of a CronJob."""
    body = installation.get("cronjob", cronjob)
    return dict(body["spec"]["jobTemplate"]["spec"]["template"]) if body else {}


def test_a_layer_of_the_settings_is_added_and_removed(installation: Installation, installed: dict[str, Any]) -> None:
    installation.apply(installations.pipeline("layered", schedule={"cron": "@yearly"}))
    before = wait_for("the CronJob", lambda: template(installation, "layered"), timeout=30)
    assert before["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"

    layers = [{"type": "databaseService", "podTemplate": LAYER}]
    write_settings(installation, installed | {"podTemplatesByService": layers})
    wait_for(
        "the toleration",
        lambda: template(installation, "layered")["spec"].get("tolerations") == [TOLERATION],
        timeout=40,
    )
    spec = template(installation, "layered")["spec"]
    assert "company-ca" in [volume.get("secret", {}).get("secretName") for volume in spec["volumes"]]
    assert "/certs" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]

    write_settings(installation, installed)
    wait_for("the toleration to go", lambda: "tolerations" not in template(installation, "layered")["spec"], timeout=40)
    assert template(installation, "layered") == before
