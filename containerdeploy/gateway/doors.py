"""The extension's side: where in its room the listed hosts are found, and the sockets that wait.

A name is a loopback address of its own in /etc/hosts, an address is added to the loopback
interface; each has a door on exactly the listed port. The proxy is one more door. Programs that
know nothing of it connect by name or address as ever.
"""

import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from containerdeploy.frozen import frozen
from containerdeploy.gateway.hosts import Host, address

NAMES_AT = "127.0.77."
PROXY_AT, PROXY_PORT = f"{NAMES_AT}1", 3128
BACKLOG = 64
MAX_DOORS = 128
_HOSTS_FILE = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_LOOPBACK_INDEX = 1


@frozen
class Door:
    """Where to listen, and whom a connection there is for: None where it will say so itself."""

    address: str
    port: int
    host: Host | None


@frozen
class Entrance:
    """What a confined process opens before it becomes its program; `channel` takes the sockets."""

    doors: tuple[Door, ...]
    channel: int

    def open(self) -> None:
        """Open every door in this network namespace and hand the sockets over; raise OSError.

        Doors of IPv6 are left out where the kernel has none of it; the proxy leads there too.
        """
        opened: list[tuple[int, socket.socket]] = []
        for number, door in enumerate(self.doors):
            try:
                opened.append((number, _listening(door, number)))
            except OSError:
                if ":" not in door.address:
                    raise
        numbers = bytes(number for number, _ in opened)
        with socket.socket(fileno=os.dup(self.channel)) as channel:
            socket.send_fds(channel, [numbers], [one.fileno() for _, one in opened])


def received(channel: socket.socket, doors: Sequence[Door]) -> dict[socket.socket, Door]:
    """Return what `open` has sent; nothing where the other side has gone instead."""
    numbers, descriptors, _, _ = socket.recv_fds(channel, MAX_DOORS, MAX_DOORS)
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    return {one: doors[number] for one, number in zip(sockets, numbers, strict=True)}


def plan(hosts: Sequence[Host]) -> tuple[Door, ...]:
    """Return the doors for a list: the proxy's, and one for each host that is no wildcard."""
    places = _places(hosts)
    doors = {(PROXY_AT, PROXY_PORT): Door(address=PROXY_AT, port=PROXY_PORT, host=None)}
    for host in sorted(hosts, key=lambda one: address(one.name) is None):  # addresses first
        if not host.is_wildcard:
            at = places.get(host.name, host.name)
            doors.setdefault((at, host.port), Door(address=at, port=host.port, host=host))
    return tuple(doors.values())


def hosts_file(hosts: Sequence[Host]) -> str:
    """Return the room's /etc/hosts."""
    places = _places(hosts).items()
    return _HOSTS_FILE + "".join(f"{at} {name}\n" for name, at in places if name != "localhost")


def environment() -> Mapping[str, str]:
    """Return the variables by which programs find the proxy."""
    proxy = f"http://{PROXY_AT}:{PROXY_PORT}"
    kinds = ("http_proxy", "https_proxy", "all_proxy")
    own = "localhost,127.0.0.1,::1"
    return {
        name: value
        for kind, value in (*((kind, proxy) for kind in kinds), ("no_proxy", own))
        for name in (kind, kind.upper())
    }


def _places(hosts: Sequence[Host]) -> dict[str, str]:
    """Return each listed name's loopback address; what is called localhost stays there."""
    names = dict.fromkeys(
        host.name for host in hosts if not host.is_wildcard and address(host.name) is None
    )
    places = {name: f"{NAMES_AT}{number}" for number, name in enumerate(names, 2)}
    return places | ({"localhost": "127.0.0.1"} if "localhost" in places else {})


def _listening(door: Door, number: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in door.address else socket.AF_INET
    if family == socket.AF_INET6 and door.address != "::1":
        _add_address6(door.address)
    elif family == socket.AF_INET and not door.address.startswith("127."):
        _add_address4(door.address, f"lo:{number}")
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _bind(listener, door)
        listener.listen(BACKLOG)
    except OSError as err:
        listener.close()
        raise OSError(err.errno, f"no door at {door.address}:{door.port}: {err.strerror}") from err
    return listener


def _bind(listener: socket.socket, door: Door) -> None:
    """Bind; an IPv6 address that was just added is there a moment later."""
    for _ in range(100 if listener.family == socket.AF_INET6 else 0):
        try:
            listener.bind((door.address, door.port))
        except OSError as err:
            if err.errno != errno.EADDRNOTAVAIL:
                raise
            time.sleep(0.005)
        else:
            return
    listener.bind((door.address, door.port))


def _add_address4(text: str, label: str) -> None:
    """Give the loopback interface one more address, of one host (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for request, value in ((_SIOCSIFADDR, text), (_SIOCSIFNETMASK, "255.255.255.255")):
            at = socket.inet_aton(value)
            asked = struct.pack("16sHH4s16x", label.encode(), socket.AF_INET, 0, at)
            fcntl.ioctl(sock, request, asked)


def _add_address6(text: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        at = socket.inet_pton(socket.AF_INET6, text)
        fcntl.ioctl(sock, _SIOCSIFADDR, struct.pack("16sIi", at, 128, _LOOPBACK_INDEX))
