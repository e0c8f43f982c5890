"""What an administrator's settings put under every pipeline, in the cluster as it is installed."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from testing import site as sites
from testing.installation import OPERATOR
from testing.site import Site
from testing.waiting import wait_for

TOLERATION = {"key": "ingestion", "operator": "Exists", "effect": "NoSchedule"}
LAYER = {
    "metadata": {"annotations": {"example.com/owner": "data"}},
    "spec": {"tolerations": [TOLERATION], "volumes": [{"name": "ca", "secret": {"secretName": "company-ca"}}]},
    "container": {"volumeMounts": [{"name": "ca", "mountPath": "/certs", "readOnly": True}]},
}


def read_settings(site: Site) -> tuple[str, dict[str, Any]]:
    """The ConfigMap's name, and the settings in it."""
    (found,) = [one for one in site.list("configmaps") if "settings.yaml" in one.get("data", {})]
    return found["metadata"]["name"], dict(yaml.safe_load(found["data"]["settings.yaml"]))


def write_settings(site: Site, content: dict[str, Any]) -> None:
    """Change the ConfigMap, and have the kubelet bring it to the operator's pod now rather than in a minute."""
    name, _ = read_settings(site)
    data = {"settings.yaml": yaml.safe_dump(content)}
    site.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    version = site.get("configmap", name)["metadata"]["resourceVersion"]  # type: ignore[index]
    site.kubectl("annotate", "--overwrite", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", f"settings={version}")


@pytest.fixture
def installed(site: Site) -> Iterator[dict[str, Any]]:
    """The settings as the chart has written them; so they are again afterwards."""
    _, content = read_settings(site)
    yield content
    write_settings(site, content)


def template(site: Site, cronjob: str) -> dict[str, Any]:
    """The pod template of a CronJob."""
    body = site.get("cronjob", cronjob)
    return dict(body["spec"]["jobTemplate"]["spec"]["template"]) if body else {}


def test_what_a_layer_of_the_settings_adds_comes_to_the_cronjob_and_goes_with_it(
    site: Site, installed: dict[str, Any]
) -> None:
    site.apply(sites.pipeline("layered", schedule={"cron": "@yearly"}))
    before = wait_for("the CronJob", lambda: template(site, "layered"), timeout=30)
    assert before["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"

    layers = [{"type": "databaseService", "podTemplate": LAYER}]
    write_settings(site, installed | {"podTemplatesByService": layers})
    wait_for("the toleration", lambda: template(site, "layered")["spec"].get("tolerations") == [TOLERATION], timeout=40)
    spec = template(site, "layered")["spec"]
    assert "company-ca" in [volume.get("secret", {}).get("secretName") for volume in spec["volumes"]]
    assert "/certs" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]

    write_settings(site, installed)
    wait_for("the toleration to go", lambda: "tolerations" not in template(site, "layered")["spec"], timeout=40)
    assert template(site, "layered") == before
