"""The node's network namespace and the pair of links that joins it to the host.

Everything of the node lives inside: kube-proxy's rules never reach the host, two clusters may use
the same pod and Service ranges, and load stays on addresses of the namespace.
"""

import ipaddress
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from testcluster.commands import run
from testcluster.errors import TestClusterError

POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"

_RANGE = ipaddress.IPv4Network("10.200.0.0/16")
_ATTEMPTS = 50


@dataclass(frozen=True)
class Network:
    """A namespace and the two ends of its link, a /30 network."""

    identifier: str
    host_address: str
    node_address: str

    @property
    def namespace(self) -> Path:
        return namespace_path(self.identifier)

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, str]) -> Self:
        return cls(**content)


def namespace_path(identifier: str) -> Path:
    """The file that holds a cluster's network namespace."""
    return Path("/run/netns") / identifier


def _host_link(identifier: str) -> str:
    return f"{identifier}-h"  # a link's name has at most 15 characters


def choose(identifier: str) -> Network:
    """A /30 that the host does not use yet, the same one for a checkout whenever it is free."""
    used = used_networks()
    pick = random.Random(identifier)  # noqa: S311 - the same choice each time is the point
    for _ in range(_ATTEMPTS):
        index = pick.randrange(_RANGE.num_addresses // 4)
        network = ipaddress.IPv4Network((int(_RANGE.network_address) + 4 * index, 30))
        if not any(network.overlaps(other) for other in used):
            return Network(identifier, str(network[1]), str(network[2]))
    raise TestClusterError(f"no free /30 found in {_RANGE}; see: ip route")


def used_networks() -> list[ipaddress.IPv4Network]:
    """What the host has a route to."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    targets = (route["dst"] for route in routes if route["dst"] != "default")
    return [ipaddress.IPv4Network(target, strict=False) for target in targets]


def create(network: Network) -> None:
    """Makes the namespace and its link. Remains of an earlier attempt are removed first."""
    delete(network.identifier)
    name, host_link = network.identifier, _host_link(network.identifier)
    run(["ip", "netns", "add", name])
    run(["ip", "link", "add", host_link, "type", "veth", "peer", "name", "eth0", "netns", name])
    run(["ip", "address", "add", f"{network.host_address}/30", "dev", host_link])
    run(["ip", "link", "set", host_link, "up"])
    inside = ["ip", "-netns", name]
    run([*inside, "address", "add", f"{network.node_address}/30", "dev", "eth0"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "link", "set", "eth0", "up"])
    # No default route: what leaves the cluster fails at once. Programs of the node itself need
    # some route to Services, though, or connect() fails before kube-proxy's rules are consulted.
    run([*inside, "route", "add", SERVICE_CIDR, "via", network.host_address])
    enter = ["nsenter", f"--net={network.namespace}", "--"]
    run([*enter, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])


def exists(network: Network) -> bool:
    """Whether the namespace is still there; a reboot takes it."""
    return network.namespace.exists() and Path("/sys/class/net", _host_link(network.identifier)).exists()


def delete(identifier: str) -> None:
    """Removes namespace and link, as far as they exist."""
    if Path("/sys/class/net", _host_link(identifier)).exists():
        run(["ip", "link", "delete", _host_link(identifier)])
    if namespace_path(identifier).exists():
        run(["ip", "netns", "delete", identifier])
