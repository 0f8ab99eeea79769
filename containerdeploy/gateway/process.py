"""The process that the forwarder is, and the agent's end of it.

It reads what hostile programs send, so it holds nothing: no descriptor but its own, no capability,
no account where it can leave that, and the extension's own system call filter. It ends with the
step, and with the agent.
"""

import fcntl
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from containerdeploy import syscalls
from containerdeploy.frozen import frozen
from containerdeploy.gateway import doors
from containerdeploy.gateway.connection import Told
from containerdeploy.gateway.doors import Entrance
from containerdeploy.gateway.forwarder import Forwarder, Reports
from containerdeploy.gateway.hosts import Host

NOBODY = 65534
MAX_OPEN_FILES = 512
READ_BYTES = MAX_LINE = 64 * 1024
GRACE_S = 5.0
_CHANNEL, _LINE = 3, 4


class GatewayFailed(OSError):
    """The forwarder ended before the step did."""


class Gateway:
    """A running forwarder, as the agent sees it; feed it what comes out of `descriptor`.

    `entrance` is for the confined process. `totals` are known once `finish` has returned.
    """

    def __init__(
        self, entrance: Entrance, line: socket.socket, told: Callable[[Told], None]
    ) -> None:
        self.entrance = entrance
        self.descriptor = line.fileno()
        self.totals: Mapping[str, int] = {}
        self._line = line
        self._told = told
        self._held = b""
        self._trouble = "it ended without a word"

    def feed(self, data: bytes) -> None:
        """Take what the forwarder says."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        if len(self._held) > MAX_LINE:
            raise GatewayFailed("what connects for the extension talks without end")

    def close(self) -> None:
        """Do nothing: the forwarder's last words come when the program has ended."""

    def finish(self) -> None:
        """End it and take its last words; raise GatewayFailed where it has failed before."""
        self._line.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._line], [], [], left)[0]:
                data = os.read(self.descriptor, READ_BYTES)
                if not data:
                    break
                self.feed(data)
        if not self.totals:
            raise GatewayFailed(f"what connects for the extension failed: {self._trouble}")

    def _hear(self, body: Mapping[str, Any]) -> None:
        if "connection" in body:
            self._told(Told(**body["connection"]))
        elif "totals" in body:
            self.totals = body["totals"]
        else:
            self._trouble = str(body.get("failed"))


@frozen
class Order:
    """What a forwarder is to do; `becomes_nobody` where it may change its user."""

    hosts: tuple[Host, ...]
    filter: bytes
    becomes_nobody: bool


@contextmanager
def serving(order: Order, told: Callable[[Told], None]) -> Iterator[Gateway]:
    """Start a forwarder; it is gone when the block ends, whatever it does then."""
    channel, its_channel = socket.socketpair()
    line, its_line = socket.socketpair()
    planned = doors.plan(order.hosts)
    with channel, line:
        with its_channel, its_line:
            pid = os.fork()
            if pid == 0:
                _forward(order, planned, {_CHANNEL: its_channel.fileno(), _LINE: its_line.fileno()})
        try:
            line.setblocking(False)
            yield Gateway(Entrance(doors=planned, channel=channel.fileno()), line, told)
        finally:
            os.kill(pid, signal.SIGKILL)  # a zombie at most: nobody else reaps it
            os.waitpid(pid, 0)


def _forward(
    order: Order, planned: Sequence[doors.Door], descriptors: Mapping[int, int]
) -> NoReturn:
    """Be the forwarder: take the doors' sockets, serve, end; never return."""
    try:
        _hold_only(descriptors)
        _renounce(order)
        with socket.socket(fileno=_CHANNEL) as channel:
            is_open = _CHANNEL in select.select([_CHANNEL, _LINE], [], [])[0]
            listeners = doors.received(channel, planned) if is_open else {}
        Forwarder(listeners, order.hosts, Reports(_LINE)).run()
    except BaseException as err:
        os.set_blocking(_LINE, True)
        words = f"{type(err).__name__}: {err}"[:1000]
        os.write(_LINE, json.dumps({"failed": words}).encode("ascii") + b"\n")
    finally:
        os._exit(0)


def _hold_only(descriptors: Mapping[int, int]) -> None:
    """Keep these descriptors, at these numbers, and no other."""
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 100) for one in descriptors.values()]
    for target, source in zip(descriptors, high, strict=True):
        os.dup2(source, target, inheritable=False)
    syscalls.close_range(0, min(descriptors) - 1)
    syscalls.close_range(max(descriptors) + 1)


def _renounce(order: Order) -> None:
    syscalls.reset_signals()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # who hangs up is told by the next call
    os.chdir("/")
    for kind, limit in (
        (resource.RLIMIT_CORE, min(1, *map(abs, resource.getrlimit(resource.RLIMIT_CORE)))),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        resource.setrlimit(kind, (limit, limit))
    if order.becomes_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    syscalls.capset(0, 0, 0)
    syscalls.set_pdeathsig(signal.SIGKILL)  # a change of credentials forgets it
    syscalls.set_dumpable(False)
    syscalls.set_no_new_privs()
    syscalls.seccomp_load(order.filter)
