"""A container's first process, from the fork to the program: namespaces, root, what it may."""

import errno
import os
import resource
from contextlib import suppress

from containerdeploy import syscalls
from containerdeploy.engine import runtime_cgroups, runtime_root
from containerdeploy.engine.runtime_order import Order

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
GO = b"go"
_SIGKILL = 9


class Channels:
    """Descriptors: `control` to the controller, `joined` closes when the groups are joined."""

    def __init__(self, *, control: int, joined: int) -> None:
        self.control = control
        self.joined = joined


def prepare(order: Order, at: str, channels: Channels, *, rootless: bool, grouped: bool) -> None:
    """Become a container all but its program, then wait for the word to go; else end."""
    syscalls.set_pdeathsig(_SIGKILL)
    syscalls.unshare(NAMESPACES | (0 if order.network else syscalls.CLONE_NEWNET))
    syscalls.sethostname("localhost")
    if not order.network:
        syscalls.loopback_up()
    runtime_root.enter(at, order.places, network=order.network, cover_proc=not rootless)
    if not os.read(channels.joined, 1):
        os._exit(1)  # the launcher is gone
    syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    if not grouped:
        runtime_cgroups.limit_by_resources(order)
    if resource.getrlimit(resource.RLIMIT_CORE)[1]:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # 0 is for files only: agent/powers.py
    _become_root(order.capabilities)
    if os.read(channels.control, len(GO)) != GO:
        os._exit(0)  # the controller is gone, or never wanted it


def execute(order: Order) -> None:
    """Become the program; return only by raising OSError. Nothing can be imported any more here."""
    environment = {"PATH": PATH} | order.environment
    syscalls.reset_signals()
    syscalls.set_no_new_privs()
    if order.program:
        syscalls.seccomp_load(order.program)
    for path in _candidates(order.argv[0], environment["PATH"]):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.execve(path, order.argv, environment)
    raise FileNotFoundError(errno.ENOENT, "no such program in the container", order.argv[0])


def _candidates(program: str, search: str) -> list[str]:
    if "/" in program:
        return [program]
    return [f"{directory}/{program}" for directory in search.split(":") if directory]


def _become_root(capabilities: list[str]) -> None:
    """Be uid 0 with exactly these capabilities; what isn't bounded can't come back."""
    try:
        os.setgroups([])
    except PermissionError:
        if os.getgroups() and not _is_single_map():
            raise
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    wanted = 0
    for name, number in syscalls.CAPABILITIES.items():
        if name in capabilities:
            wanted |= 1 << number
        else:
            _drop(number)
    try:
        syscalls.capset(wanted, wanted, 0)
    except PermissionError as err:
        raise OSError(err.errno, f"this host withholds one of {' '.join(capabilities)}") from err
    syscalls.set_pdeathsig(_SIGKILL)  # a change of credentials forgets it


def _is_single_map() -> bool:
    """With one id mapped the kernel forbids to change groups: they stay the user's own."""
    with open("/proc/self/setgroups", encoding="ascii") as stream:
        return stream.read().strip() == "deny"


def _drop(number: int) -> None:
    try:
        syscalls.drop_bounding(number)
    except OSError as err:
        if err.errno != errno.EINVAL:  # a kernel that doesn't know this one
            raise
