"""The built-in extension simple-network, run for real."""

import os
from pathlib import Path

import pytest
from extension_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_parameter_the_network_is_dhcp(world: World) -> None:
    world.configure("simple-network")
    assert world.read("/etc/network/interfaces") == (
        "auto lo\niface lo inet loopback\n\n"
        "auto eth0\niface eth0 inet dhcp\n    hostname $(hostname)\n"
    )
    assert os.listdir(world.tree / "etc/systemd/network") == ["50-e*.network"]
    expected = "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n"
    assert world.read("/etc/systemd/network/50-e*.network") == expected


def test_stanzas_become_interfaces_and_network_files(world: World) -> None:
    config = (
        "eth1:dhcp;eth0:static,address=10.0.0.2,netmask=255.255.252.0,gateway=10.0.0.1,"
        "dns=10.0.0.1,up=echo $a=b;lo:loopback;bond0:static"
    )
    world.configure("simple-network", NETWORK_CONFIG=config)
    assert world.read("/etc/network/interfaces") == (
        "auto lo\niface lo inet loopback\n\n"
        "auto bond0\niface bond0 inet static\n\n"
        "auto eth0\niface eth0 inet static\n    address 10.0.0.2\n    netmask 255.255.252.0\n"
        "    gateway 10.0.0.1\n    dns 10.0.0.1\n    up echo $a=b\n\n"
        "auto eth1\niface eth1 inet dhcp\n"
    )
    files = sorted(os.listdir(world.tree / "etc/systemd/network"))
    assert files == ["50-eth1.network", "51-eth0.network", "53-bond0.network"]
    assert world.read("/etc/systemd/network/51-eth0.network") == (
        "[Match]\nName=eth0\n\n[Network]\nAddress=10.0.0.2/22\nGateway=10.0.0.1\nDNS=10.0.0.1\n"
    )


def test_an_existing_dhcp_file_is_put_aside(world: World) -> None:
    networkd = world.tree / "etc/systemd/network"
    networkd.mkdir(parents=True)
    (networkd / "10-dhcp.network").write_text("old")
    world.configure("simple-network")
    world.configure("simple-network")
    assert sorted(os.listdir(networkd)) == ["10-dhcp.network.morph", "50-e*.network"]
    assert (networkd / "10-dhcp.network.morph").read_text() == "old"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", "type is missing"),
        ("eth0", "type is missing"),
        ("lo:loopback;", "type is missing"),
        ("eth0:1:dhcp", "type is missing"),
        ("eth0:bootp", "unknown type 'bootp'"),
        ("eth0:dhcp,a=1,a=2", "repeated key 'a'"),
        ("eth0:dhcp,a", "'a' is not KEY=VALUE"),
        ("eth0:dhcp,a=1\n2", "is not KEY=VALUE on one line"),
        ("../x:dhcp", "is no name of an interface"),
        ("a b:dhcp", "is no name of an interface"),
        (":dhcp", "is no name of an interface"),
        ("eth0:static,address=10.0.0.2", "go together"),
        ("eth0:static,netmask=255.0.0.0", "go together"),
        ("eth0:static,address=10.0.0,netmask=255.0.0.0", "is not an IPv4 address"),
        ("eth0:static,address=10.0.0.2,netmask=255.0.255.0", "netmask '255.0.255.0'"),
        ("eth0:static,gateway=x", "gateway 'x'"),
    ],
)
def test_a_stanza_that_can_not_be_used_is_refused(world: World, config: str, reason: str) -> None:
    networkd = world.tree / "etc/systemd/network"
    networkd.mkdir(parents=True)
    (networkd / "10-dhcp.network").write_text("old")
    assert reason in world.refusal("simple-network", NETWORK_CONFIG=config)
