"""The kubelet and kube-proxy."""

import json

from testcluster.binaries import Binaries
from testcluster.locations import Layout
from testcluster.node import cgroups, dns
from testcluster.node.control_plane import NODE_NAME, kubeconfig
from testcluster.node.network import POD_CIDR, Network
from testcluster.node.processes import Component


def prepare(layout: Layout, network: Network) -> None:
    """Writes the kubelet's configuration and the resolv.conf that pods inherit."""
    resolver = layout.config / "resolv.conf"
    resolver.write_text(f"nameserver {network.node_address}\n")
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.node_root(layout.identifier),
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [network.node_address],
        "clusterDomain": dns.DOMAIN,
        "resolvConf": str(resolver),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": str(layout.root / "pod-logs"),
        "volumePluginDir": str(layout.root / "volume-plugins"),
        "maxPods": 110,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        # The disk belongs to the developer, who may have it nearly full: neither images nor pods
        # go away because of that.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
            "imagefs.inodesFree": "1%",
        },
    }
    (layout.config / "kubelet.json").write_text(json.dumps(configuration, indent=2))


def kubelet(layout: Layout, network: Network, binaries: Binaries) -> Component:
    return Component(
        "kubelet",
        [
            binaries["kubelet"],
            f"--config={layout.config}/kubelet.json",
            f"--kubeconfig={kubeconfig(layout, 'kubelet')}",
            f"--root-dir={layout.kubelet}",
            f"--cert-dir={layout.kubelet}/pki",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={network.node_address}",
        ],
        path=[binaries.containerd],
    )


def kube_proxy(layout: Layout, binaries: Binaries) -> Component:
    return Component(
        "kube-proxy",
        [
            binaries["kube-proxy"],
            f"--kubeconfig={kubeconfig(layout, 'kube-proxy')}",
            f"--hostname-override={NODE_NAME}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={POD_CIDR}",
            # Two pods of one bridge answer each other directly unless br_netfilter is there,
            # past the rule that turns the Service's address back.
            "--masquerade-all",
            # These belong to the host's namespace and are read-only here.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
    )
