"""NetworkPolicies, of which the pods' own network knows nothing: kube-router's firewall, while a test needs it.

It keeps its rules in iptables' table `filter` and in sets of addresses, both of the node's namespace. Ended, it leaves
them there, so they are taken away here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from testcluster import prerequisites
from testcluster.binaries import built_kube_router
from testcluster.commands import run, succeeds
from testcluster.errors import TestClusterError
from testcluster.locations import Layout
from testcluster.node.control_plane import NODE_NAME
from testcluster.node.network import SERVICE_CIDR, Network
from testcluster.node.processes import Component, Processes
from testcluster.progress import wait_until

_CHAINS = ("KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-")
_START_SECONDS = 60.0


def kube_router(layout: Layout, program: str) -> Component:
    """Its firewall alone: routes and Services are the bridge's and kube-proxy's."""
    return Component(
        "kube-router",
        [
            program,
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--kubeconfig={layout.kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--health-port=0",
        ],
    )


@contextmanager
def enforced(layout: Layout, network: Network, processes: Processes) -> Iterator[None]:
    """Every NetworkPolicy of the cluster holds inside, none does afterwards.

    Raises TestClusterError when the machine lacks something or kube-router does not start.
    """
    prerequisites.check(prerequisites.POLICIES, root=False)
    enter = ["nsenter", f"--net={network.namespace}", "--"]
    # Two pods of one bridge would talk past iptables.
    if not succeeds([*enter, "grep", "-q", "1", "/proc/sys/net/bridge/bridge-nf-call-iptables"]):
        raise TestClusterError("NetworkPolicies need the kernel's br_netfilter; run as root: modprobe br_netfilter")
    part = kube_router(layout, built_kube_router())

    def holds() -> bool:
        if processes.pid(part.name) is None:
            raise TestClusterError(f"{part.name} has ended. {processes.last_words(part.name)}")
        # The last rule of its first pass over all policies and pods.
        return "explicitly ACCEPT" in run([*enter, "iptables", "-S"])

    try:
        processes.start(part)
        hint = f"Its log is {processes.log(part.name)}"
        wait_until("kube-router to enforce NetworkPolicies", holds, timeout=_START_SECONDS, hint=hint)
        yield
    finally:
        processes.stop(part.name)
        saved = run([*enter, "iptables-save", "-t", "filter"])
        run([*enter, "iptables-restore"], stdin=without_policies(saved))
        run([*enter, "ipset", "destroy"])


def without_policies(saved: str) -> str:
    """What iptables-save has written, without kube-router's chains and the jumps to them."""
    return "".join(line for line in saved.splitlines(keepends=True) if not any(chain in line for chain in _CHAINS))
