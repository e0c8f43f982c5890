"""Operator and gateway as people with Helm install them: a release of the chart."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testcluster.handle import Cluster
from testing.helm import Helm
from testing.install import apply, settings

RELEASE = "ingestion"
USERNAME, PASSWORD = "admin", "only-for-these-suites"
CREDENTIALS = "credentials-of-the-server"


def built_images(images: dict[str, str]) -> dict[str, Any]:
    """The value `image` for what was built here."""
    repository, _, tag = images["operator"].rpartition(":")
    return {"repository": repository, "tag": tag}


def install(
    cluster: Cluster, namespace: str, images: dict[str, str], *, first: bool = True, **changes_of_settings: Any
) -> None:
    """Install a release into a restricted namespace of its own; only the cluster's `first` has gateway and crd.

    The server's credentials are in a Secret that was there before. All else is as the chart has it.
    """
    in_force = settings(images["runner"], **changes_of_settings)
    del in_force["logArchive"]  # the chart has its own, a volume too
    values = {
        "image": built_images(images),
        "settings": in_force,
        "gateway": {"enabled": first, "credentials": {"existingSecret": CREDENTIALS}},
        "crds": {"enabled": first},
    }
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS, "namespace": namespace},
        "stringData": {"username": USERNAME, "password": PASSWORD},
    }
    apply(
        cluster,
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": restricted}},
        secret,
    )
    with TemporaryDirectory() as folder:
        # Other suites bring the CRD too, without Helm.
        Helm(cluster, namespace, Path(folder)).install(RELEASE, values, take_ownership=True)
