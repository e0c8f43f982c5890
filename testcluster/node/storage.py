"""A default StorageClass without a provisioner: volumes made in advance.

A claim of the class ``standard`` binds at once to one of the PersistentVolumes below, folders of
this machine that any user may write to, in any access mode. A volume whose claim is gone is not
usable again by itself: ``up`` empties and recreates it, so one session can use as many claims
as there are volumes.
"""

import json
import shutil

from testcluster.binaries import Binaries
from testcluster.commands import run
from testcluster.locations import Layout

STORAGE_CLASS = "standard"
VOLUMES = 20

_CAPACITY = "10Gi"
_LABEL = "ingestion.openmetadata.org/test-cluster"


def provide(layout: Layout, binaries: Binaries) -> None:
    """Makes the class and its volumes; gives back the volumes whose claims are gone."""
    kubectl = [binaries["kubectl"], "--kubeconfig", str(layout.kubeconfig)]
    direct = {"NO_PROXY": "*"}
    listed = json.loads(run([*kubectl, "get", "pv", "-l", _LABEL, "-o", "json"], env=direct))
    phases = {pv["metadata"]["name"]: pv["status"].get("phase") for pv in listed["items"]}
    left = [name for name, phase in phases.items() if phase in ("Released", "Failed")]
    if left:
        run([*kubectl, "delete", "pv", "--wait=true", *left], env=direct)
    wanted = [_storage_class()] if not phases else []
    for number in range(VOLUMES):
        name = f"volume-{number:02}"
        folder = layout.root / "volumes" / name
        if name in left:
            shutil.rmtree(folder, ignore_errors=True)
        if name in left or name not in phases:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # the kubelet does not give a hostPath to a pod's fsGroup
            wanted.append(_volume(name, str(folder)))
    if wanted:
        objects = {"apiVersion": "v1", "kind": "List", "items": wanted}
        command = [*kubectl, "apply", "--server-side", "-f", "-"]
        run(command, stdin=json.dumps(objects), env=direct)


def _storage_class() -> dict[str, object]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    }


def _volume(name: str, folder: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {_LABEL: "volume"}},
        "spec": {
            "capacity": {"storage": _CAPACITY},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": folder, "type": "Directory"},
        },
    }
