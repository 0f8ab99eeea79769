"""What of the network an extension may use: nothing, all of it, or named hosts and ports."""

import ipaddress
import re
from typing import Literal

from containerdeploy.document import (
    Complaints,
    Fields,
    ListNode,
    Node,
    Scalar,
    describe,
    did_you_mean,
)
from containerdeploy.frozen import frozen

Mode = Literal["none", "full", "listed"]
MAX_HOSTS = 64
_EXAMPLE = "a host and a port, such as example.org:443"
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What programs take for an address, or a part of one: no name ends so.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NO_HOST = ipaddress.ip_network("0.0.0.0/8")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@frozen
class Network:
    """What a step may reach. `hosts` is for `listed` only.

    A host is `name:port`, `*.name:port` (all names below that one), `1.2.3.4:port` or
    `[2001:db8::1]:port`: lower case, addresses in their shortest form, no entry twice.
    """

    mode: Mode = "none"
    hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.hosts) if self.mode == "listed" else self.mode


NONE = Network()
FULL = Network(mode="full")


def read_network(fields: Fields, complaints: Complaints) -> Network | None:
    """Read the field `network`: none, full or a list of hosts; None where it is missing."""
    node = fields.node("network")
    if node is None:
        return None
    if isinstance(node, ListNode):
        return _listed(node, complaints)
    word = node.text if isinstance(node, Scalar) else ""
    if word in ("none", "full"):
        return FULL if word == "full" else NONE
    message = f"'network' has to be none, full or a list of hosts; found {describe(node)}"
    hint = f"write a list: [{word}]" if ":" in word else did_you_mean(word, ("none", "full"))
    complaints.add(node.at, message, hint or f"in a list each is {_EXAMPLE}")
    return None


def host_fault(text: str) -> str | None:
    """Return what is wrong with an entry of the list, None where nothing is."""
    name, colon, port = text.lower().rpartition(":")
    if not colon or name.endswith(":") or not port or (name.startswith("[") and "]" not in name):
        return f"has to be {_EXAMPLE}"
    if ":" in name and not name.startswith("["):
        return "has to have its IPv6 address in brackets: '[2001:db8::1]:443'"
    if not _PORT.fullmatch(port) or int(port) > 65535:
        return "has to end in a port from 1 to 65535"
    if name.startswith("["):
        return None if _address6(name) else "has no IPv6 address of a host (IPv4 has no brackets)"
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return None if _address4(name) else "has no IPv4 address of a host: four plain numbers"
    return None if _is_name(name.removeprefix("*.")) else "has no valid host name (xn-- for others)"


def normalized(text: str) -> str:
    """Return an entry without fault in the one form that all rooms compare."""
    name, _, port = text.lower().rpartition(":")
    return f"[{_address6(name)}]:{port}" if name.startswith("[") else f"{name}:{port}"


def _listed(node: ListNode, complaints: Complaints) -> Network:
    hosts = [host for item in node.items if (host := _host(item, complaints))]
    if not node.items:
        complaints.add(node.at, "'network' lists no host", "write none, or whom it may reach")
    if len(hosts) > MAX_HOSTS:
        complaints.add(node.at, f"'network' lists {len(hosts)} hosts, {MAX_HOSTS} are the most")
    return Network(mode="listed", hosts=tuple(dict.fromkeys(hosts)))


def _host(item: Node, complaints: Complaints) -> str | None:
    text = item.text if isinstance(item, Scalar) else ""
    fault = host_fault(text) if text else f"has to be {_EXAMPLE}"
    if fault is None:
        return normalized(text)
    complaints.add(item.at, f"{describe(item)} in 'network' {fault}")
    return None


def _is_name(name: str) -> bool:
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def _address4(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_reserved or address in _NO_HOST)


def _address6(text: str) -> str | None:
    """Return the shortest form of a host's address; None for others, and for IPv4 in it."""
    try:
        address = ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    is_odd = address.ipv4_mapped or address.scope_id or address.is_link_local
    return None if is_odd or address.is_multicast or not int(address) else str(address)
