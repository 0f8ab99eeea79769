"""What `network` may say in a sidecar or a system file, and the complaints about the rest."""

import pytest

from containerdeploy import document
from containerdeploy.document import Complaints, Fields
from containerdeploy.network import FULL, MAX_HOSTS, NONE, read_network


def read(text):
    node, _ = document.parse(f"network: {text}\n".encode(), "x.yaml")
    complaints = Complaints()
    return read_network(Fields(node, "a sidecar", complaints), complaints), complaints.taken()


@pytest.mark.parametrize(
    ("text", "network"), [("none", NONE), ("full", FULL), ("", None), ("~", None)]
)
def test_the_words(text, network):
    assert read(text) == (network, ())


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.org:443", "example.org:443"),
        ("Example.ORG:443", "example.org:443"),
        ("_ldap.host-1.example:65535", "_ldap.host-1.example:65535"),
        ("build:1", "build:1"),
        ("'*.example.org:80'", "*.example.org:80"),
        ("10.0.0.1:22", "10.0.0.1:22"),
        ("'[2001:DB8:0::1]:443'", "[2001:db8::1]:443"),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example:80"),
        ("1password.com:443", "1password.com:443"),
    ],
)
def test_a_host_is_read_in_one_form(text, host):
    network, problems = read(f"[{text}]")
    assert problems == ()
    assert (network.mode, network.hosts) == ("listed", (host,))


def test_an_entry_counts_once():
    network, _ = read("[a.org:80, b.org:80, A.org:80]")
    assert network.hosts == ("a.org:80", "b.org:80")
    assert str(network) == "a.org:80, b.org:80"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ful", "did you mean 'full'?"),
        ("yes", "in a list each is a host and a port"),
        ("example.org:443", "write a list: [example.org:443]"),
        ("{a: b}", "found a mapping"),
        ("[]", "lists no host"),
        ("[[a.org:80]]", "has to be a host and a port"),
        ("[~]", "has to be a host and a port"),
        ("[example.org]", "has to be a host and a port"),
        ("['example.org:']", "has to be a host and a port"),
        ("[example.org:0]", "a port from 1 to 65535"),
        ("[example.org:65536]", "a port from 1 to 65535"),
        ("[example.org:080]", "a port from 1 to 65535"),
        ("[example.org:http]", "a port from 1 to 65535"),
        ("['example.org:٨٠']", "a port from 1 to 65535"),
        ("['::1:80']", "in brackets"),
        ("['[::1]']", "has to be a host and a port"),
        ("['[::1]:']", "has to be a host and a port"),
        ("['[::g]:80']", "no IPv6 address of a host"),
        ("['[::]:80']", "no IPv6 address of a host"),
        ("['[ff02::1]:80']", "no IPv6 address of a host"),
        ("['[fe80::1]:80']", "no IPv6 address of a host"),
        ("[0.0.0.0:80]", "no IPv4 address of a host"),
        ("[224.0.0.1:80]", "no IPv4 address of a host"),
        ("[255.255.255.255:80]", "no IPv4 address of a host"),
        ("['[fe80::1%eth0]:80']", "no IPv6 address of a host"),
        ("['[::ffff:10.0.0.1]:80']", "IPv4 has no brackets"),
        ("[010.0.0.1:80]", "no IPv4 address of a host"),
        ("[10.1:80]", "no IPv4 address of a host"),
        ("[0x7f.1:80]", "no IPv4 address of a host"),
        ("[x.0x7f:80]", "no IPv4 address of a host"),
        ("[2130706433:80]", "no IPv4 address of a host"),
        ("['*:80']", "no valid host name"),
        ("['*.:80']", "no valid host name"),
        ("['a.*.org:80']", "no valid host name"),
        ("[a..org:80]", "no valid host name"),
        ("['a.org.:80']", "no valid host name"),
        ("[-a.org:80]", "no valid host name"),
        ("[a@b.org:80]", "no valid host name"),
        ("['http://a.org:80']", "in brackets"),
        ("['a%2e.org:80']", "no valid host name"),
        ("['a.org\\nb:80']", "no valid host name"),
        ("[bücher.example:80]", "xn--"),
        (f"[{'a' * 64}.org:80]", "no valid host name"),
        (f"[{'a.' * 130}org:80]", "no valid host name"),
    ],
)
def test_a_mistake_is_told_with_its_place(text, told):
    _, problems = read(text)
    assert told in str(problems[0])
    assert str(problems[0]).startswith("x.yaml:1:")


def test_a_list_has_an_end():
    hosts = ", ".join(f"host{number}:80" for number in range(MAX_HOSTS + 1))
    _, problems = read(f"[{hosts}]")
    assert f"lists {MAX_HOSTS + 1} hosts, {MAX_HOSTS} are the most" in str(problems[0])
