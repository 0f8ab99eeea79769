"""Sockets of this host's that nobody has a reason to connect to: who does came out of a sandbox."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager


class Bait:
    """A TCP port of the loopback interface and an abstract name, both listening."""

    def __init__(self, service: socket.socket, abstract: socket.socket, name: str) -> None:
        self._sockets = (service, abstract)
        self.port: int = service.getsockname()[1]
        self.name = name

    def taken(self) -> list[str]:
        """Return who connected."""
        found = []
        for one in self._sockets:
            one.setblocking(False)
            try:
                connection, address = one.accept()
            except BlockingIOError:
                continue
            connection.close()
            found.append(str(address or self.name))
        return found


@contextmanager
def laid() -> Iterator[Bait]:
    """Listen while the block runs."""
    name = f"containerdeploy-bait-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as service, socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0{name}")
        other.listen()
        yield Bait(service, other, name)
