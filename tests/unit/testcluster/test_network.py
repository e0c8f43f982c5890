import ipaddress

import pytest

from testcluster.errors import TestClusterError
from testcluster.node import network
from testcluster.node.network import Network


def test_choose_gives_both_ends_of_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "used_networks", list)
    chosen = network.choose("io-12345678")

    assert chosen == network.choose("io-12345678")
    host, node = ipaddress.ip_address(chosen.host_address), ipaddress.ip_address(chosen.node_address)
    assert int(node) - int(host) == 1
    assert host in ipaddress.ip_network(f"{node}/30", strict=False)
    assert chosen != network.choose("io-87654321")


def test_choose_passes_over_a_network_that_the_host_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "used_networks", list)
    first = network.choose("io-12345678")
    taken = ipaddress.IPv4Network(f"{first.host_address}/30", strict=False)
    monkeypatch.setattr(network, "used_networks", lambda: [taken])

    assert network.choose("io-12345678") != first


def test_choose_raises_when_nothing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "used_networks", lambda: [ipaddress.IPv4Network("10.0.0.0/8")])

    with pytest.raises(TestClusterError, match="no free /30"):
        network.choose("io-12345678")


def test_network_survives_being_written_and_read() -> None:
    there = Network("io-12345678", "10.200.0.1", "10.200.0.2")

    assert Network.from_json(there.to_json()) == there
