"""Which addresses a listed name may lead to: none of the helper's own, no cloud's metadata.

Whoever has a listed name's DNS decides what it resolves to. What is refused here can still be
listed, as an address; networks that are merely private are for CI hosts to use.
"""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Services of clouds for their machines, beyond the link-local ones.
_METADATA = tuple(
    ipaddress.ip_network(one)
    for one in (
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::/32",
        "fd20:ce::254",
    )
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# Prefixes whose last 32 bits are an IPv4 address: NAT64 and "IPv4-compatible".
_EMBEDDING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))


def fault(text: str) -> str | None:
    """Return what kind of address this is where no name may lead to it, else None.

    Asks the kernel which addresses are the helper's own; raises OSError where there is no route.
    """
    address = ipaddress.ip_address(text)
    return _kind(_embedded(address) or address) or _kind(address) or _own(address)


def _kind(address: Address) -> str | None:
    if any(address in network for network in _METADATA if network.version == address.version):
        return "a metadata address"
    if address.is_unspecified or address in _THIS_NETWORK:
        return "an unspecified address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local or (address.version == 6 and address.is_site_local):
        return "a link-local address"
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        return "no single host's address"
    return None


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in _EMBEDDING) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _own(address: Address) -> str | None:
    """Ask from where the kernel would reach it; nothing is sent. From itself: it is our own."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), 9))
        is_own = ipaddress.ip_address(probe.getsockname()[0]) == address
    return "an address of the helper's own" if is_own else None
