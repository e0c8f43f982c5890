"""CoreDNS as a program of the node: names of Services resolve in pods."""

from testcluster.binaries import Binaries
from testcluster.locations import Layout
from testcluster.node.control_plane import kubeconfig
from testcluster.node.network import Network
from testcluster.node.processes import Component

DOMAIN = "cluster.local"

READY_PORT = 8181

# No cache: a Service that a test has just made must be found at once. Nothing is forwarded: a
# name outside the cluster does not exist, which a pod learns without a wait.
_COREFILE = """\
{domain} in-addr.arpa {{
    bind {address}
    errors
    ready {address}:{port}
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
. {{
    bind {address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def prepare(layout: Layout, network: Network) -> None:
    """Writes the Corefile."""
    (layout.config / "Corefile").write_text(
        _COREFILE.format(
            address=network.node_address,
            port=READY_PORT,
            domain=DOMAIN,
            kubeconfig=kubeconfig(layout, "coredns"),
        )
    )


def coredns(layout: Layout, binaries: Binaries) -> Component:
    return Component("coredns", [binaries["coredns"], "-conf", str(layout.config / "Corefile")])
