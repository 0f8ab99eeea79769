"""Resolves names in threads, so that one slow name holds up nobody else."""

import os
import socket
import threading
from collections import deque
from collections.abc import Iterator

from containerdeploy.gateway.hosts import Host

MAX_AT_A_TIME = 64
MAX_ADDRESSES = 8
STACK_BYTES = 512 * 1024
Found = tuple[int, tuple[str, ...], str]


class Lookups:
    """Lookups under way; `descriptor` is readable when `finished` has something."""

    def __init__(self) -> None:
        self.descriptor, self._bell = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._bell, False)
        self._done: deque[Found] = deque()
        self._under_way = 0
        threading.stack_size(STACK_BYTES)

    def start(self, number: int, host: Host) -> bool:
        """Look a name up for the connection `number`; False where too many are under way."""
        if self._under_way >= MAX_AT_A_TIME:
            return False
        try:
            threading.Thread(target=self._look_up, args=(number, host), daemon=True).start()
        except RuntimeError:  # the kernel has no more threads for us
            return False
        self._under_way += 1
        return True

    def finished(self) -> Iterator[Found]:
        """Yield (number, addresses, why there are none) of what has been looked up."""
        os.read(self.descriptor, 4096)
        while self._done:
            self._under_way -= 1
            yield self._done.popleft()

    def _look_up(self, number: int, host: Host) -> None:
        try:
            self._done.append((number, resolve(host), ""))
        except OSError as err:
            self._done.append((number, (), f"not to be resolved: {err.strerror}"))
        os.write(self._bell, b".")


def resolve(host: Host) -> tuple[str, ...]:
    """Return the addresses that a name has, in the order in which to try them; raise OSError."""
    # As bytes: Python would check text by the rules of IDNA 2003.
    found = socket.getaddrinfo(host.name.encode("ascii"), host.port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))[:MAX_ADDRESSES]
