"""The list of hosts and ports that an extension may reach, and what it covers."""

import socket
from collections.abc import Iterable

from containerdeploy.frozen import frozen


@frozen
class Host:
    """An entry of the list, or what somebody asks for: a lower-case name or an address."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        return self.name.startswith("*.")


def parse(entry: str) -> Host:
    """Read an entry as a Job has it."""
    name, _, port = entry.rpartition(":")
    name = name.removeprefix("[").removesuffix("]")
    return Host(name=address(name) or name, port=int(port))


def address(name: str) -> str | None:
    """Return an address in the one form that is compared here; None where it is a name.

    Only what is written plainly is an address: four decimal numbers, or IPv6.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, name))
        except (OSError, ValueError):
            continue
    return None


def covers(hosts: Iterable[Host], wanted: Host) -> bool:
    """Say whether the list has a host: itself, or `*.` and an end of its name."""
    for host in hosts:
        if host.port == wanted.port:
            if host.name == wanted.name:
                return True
            if host.is_wildcard and wanted.name.endswith(host.name[1:]):
                return address(wanted.name) is None
    return False
