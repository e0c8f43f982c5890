"""containerd, the pods' network plugins, and images."""

import json
from pathlib import Path

from testcluster.archives import layer_of, write_image
from testcluster.binaries import Binaries
from testcluster.commands import require, run
from testcluster.errors import CommandError
from testcluster.locations import Layout, cache, exclusive
from testcluster.node.network import POD_CIDR
from testcluster.node.processes import Component
from testcluster.progress import step

PAUSE_IMAGE = "localhost/pause:1"
_PAUSE_PROCESS = {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"], "User": "65535:65535"}

_CONTAINERD = """\
version = 3
root = "{root}"
state = "{state}"
# Snapshotters and features that would only probe the machine, or share folders with a containerd
# that the machine runs itself.
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.native",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "{state}/s"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE, as in many CI machines, runc may not lower oom_score_adj.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{cni}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"""


def prepare(layout: Layout, binaries: Binaries) -> None:
    """Writes the configuration of containerd and of the pods' network."""
    cni = layout.config / "cni"
    cni.mkdir(exist_ok=True)
    (cni / "10-pods.conflist").write_text(json.dumps(_network_plugins(layout), indent=2))
    (layout.config / "containerd.toml").write_text(
        _CONTAINERD.format(
            root=layout.containerd,
            state=layout.sockets / "containerd",
            socket=layout.containerd_socket,
            pause=PAUSE_IMAGE,
            plugins=binaries.containerd,
            cni=cni,
            runc=binaries["runc"],
        )
    )


def _network_plugins(layout: Layout) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "ipMasqBackend": "nftables",
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.root / "addresses"),
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": layout.identifier, "plugins": [bridge, ports]}


def containerd(layout: Layout, binaries: Binaries) -> Component:
    configuration = layout.config / "containerd.toml"
    return Component(
        "containerd",
        [binaries["containerd"], "--config", str(configuration), "--log-level", "info"],
        path=[binaries.containerd],  # it searches its shim there
    )


def is_ready(layout: Layout, binaries: Binaries) -> bool:
    """Whether containerd answers and has its CRI plugin."""
    try:
        plugins = run([*_ctr(layout, binaries), "plugins", "ls", "id==cri"], timeout=5)
    except CommandError:
        return False
    return " ok" in plugins


def _ctr(layout: Layout, binaries: Binaries) -> list[str]:
    return [binaries["ctr"], "--address", str(layout.containerd_socket), "-n", "k8s.io"]


def images(layout: Layout, binaries: Binaries) -> set[str]:
    """The references of the images that containerd has."""
    return set(run([*_ctr(layout, binaries), "images", "ls", "-q"]).split())


def load(layout: Layout, binaries: Binaries, archive: Path) -> None:
    """Imports a docker-archive with all its tags."""
    with step(f"loading {archive.name}"):
        run([*_ctr(layout, binaries), "images", "import", "--local", str(archive)], timeout=900)


def pause_archive() -> Path:
    """A docker-archive of the image that holds a pod's namespaces: a static busybox that sleeps."""
    path = cache() / "images" / "pause-1.tar"
    with exclusive("pause-image"):
        if not path.exists():
            layer = layer_of({"bin/busybox": Path(require("busybox"))})
            write_image(path, PAUSE_IMAGE, layer, _PAUSE_PROCESS)
    return path
