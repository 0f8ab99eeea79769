"""Sockets of all families, and what could be reached through them."""

import errno
import fcntl
import os
import re
import socket
import struct

from tools import Untried, attack

GROUP = "the network"
NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_UEVENT = 0, 12, 15
METADATA = ("169.254.169.254", "fd00:ec2::254")


def family(number: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> str:
    socket.socket(number, kind, protocol).close()
    return f"a socket of family {number}"


@attack
def vsock() -> object:
    return family(40)


@attack
def kernel_crypto() -> object:
    return family(38, socket.SOCK_SEQPACKET)


@attack
def packet_socket() -> object:
    return family(17, socket.SOCK_RAW, socket.htons(3))


@attack
def raw_socket() -> object:
    return family(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@attack
def raw_socket_of_version_6() -> object:
    return family(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


@attack
def bluetooth_and_other_families() -> object:
    for number in (9, 15, 21, 29, 30, 31, 41, 42, 43, 44, 45):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                return family(number, kind)
            except OSError:
                continue
    return None


@attack
def network_interface() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8922, struct.pack("16si12x", b"lo", 1500))
    return "set the size of packets"


def asked(protocol: int, kind: int, flags: int, body: bytes) -> str:
    """Send one request over netlink; raise the error that comes back."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(2)
        link.sendto(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body, (0, 0))
        answer = link.recv(65536)
    code = (
        struct.unpack_from("i", answer, 16)[0] if struct.unpack_from("H", answer, 4)[0] == 2 else 0
    )
    if code:
        raise OSError(-code, os.strerror(-code))
    return f"answered with {len(answer)} bytes"


@attack
def make_an_interface() -> object:
    name = struct.pack("HH", 4 + 8, 3) + b"hostile\0"
    kind = struct.pack("HH", 4 + 6, 1) + b"dummy\0\0\0"
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + name + struct.pack("HH", 4 + len(kind), 18) + kind
    try:
        return asked(NETLINK_ROUTE, 16, 0x605, body)
    except OSError as err:
        if err.errno == errno.EOPNOTSUPP:
            return "only this kernel has no such kind"
        raise


@attack
def netfilter() -> object:
    """List its tables: a kernel part with a history, and only for who may administer a network."""
    return asked(NETLINK_NETFILTER, 10 << 8 | 1, 0x301, struct.pack("BBH", 0, 0, 0))


@attack
def news_of_devices() -> object:
    """Forge what udev acts upon."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_UEVENT) as link:
        link.bind((0, 0))
        return link.sendto(b"add@/devices/hostile\0ACTION=add\0", (0, 2))


def leaves(address: str, port: int) -> str:
    """Send a packet; without a way out there is an error at once."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        sender.send(b"x")
    return f"a packet has left for {address}"


@attack
def cloud_metadata() -> object:
    return leaves(METADATA[0], 80)


@attack
def cloud_metadata_of_version_6() -> object:
    return leaves(METADATA[1], 80)


@attack
def names_by_dns() -> object:
    """Ask a public resolver and the machine's own."""
    return leaves("1.1.1.1", 53)


@attack
def everybody_near() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return sender.sendto(b"x", ("255.255.255.255", 9))


@attack
def interfaces_beyond_its_own() -> object:
    return [name for _, name in socket.if_nameindex() if name != "lo"] or None


@attack
def a_service_of_the_host() -> object:
    port = os.environ.get("BAIT_PORT")
    if not port:
        raise Untried("nobody said on which port one listens")
    for address in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((address, int(port)), timeout=1).close()
        except OSError:
            continue
        return f"connected to {address}, port {port}"
    return None


@attack
def abstract_sockets() -> object:
    """Connect to those that can be seen, and to one whose name we were told."""
    with open("/proc/net/unix") as stream:
        names = re.findall(r" @(\S+)$", stream.read(), re.MULTILINE)
    for name in [os.environ.get("BAIT_NAME", ""), *names]:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"\0{name}")
            except OSError:
                continue
            return f"connected to @{name}"
    return None
