"""What a confined process may: capabilities, root's ids, and limits that the kernel counts.

For a process that is about to become the program; nothing here can be taken back.
"""

import os
import resource
from collections.abc import Sequence
from contextlib import suppress

from containerdeploy import syscalls
from containerdeploy.agent.identity import Identity

# What configuring files needs, and nothing else.
EXTENSION_CAPABILITIES = frozenset(
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETFCAP SYS_CHROOT".split()
) | {"NET_BIND_SERVICE"}
# What unpacking an archive with its owners and devices needs; without /proc, mounts and SYS_ADMIN.
UNPACK_CAPABILITIES = frozenset("CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP MKNOD".split())
# The namespace serves one step after the other, and the kernel frees a network namespace late.
USER_LIMITS = {
    "max_inotify_instances": 32,
    "max_inotify_watches": 8192,
    "max_net_namespaces": 256,
}
# What the kernel counts for all processes of a user together: the host's root needs it more.
SHARED_WITH_ROOT = ((resource.RLIMIT_MSGQUEUE, 0), (resource.RLIMIT_SIGPENDING, 1024))
MAX_OPEN_FILES = 4096
# To the kernel 0 means no core file, but a host's program that takes core dumps gets them all the
# same; 1 means neither (do_coredump() in fs/coredump.c). The call filter keeps it there.
NO_CORE = 1


def become_root_of(identity: Identity, user_limits: int) -> None:
    """Take root's ids in the user namespace, and bound what it may charge to its creator.

    Limits of a user namespace count for its parents too: without these an extension could use up
    the inotify instances of the host's root.
    """
    if user_limits >= 0:
        for name in os.listdir(user_limits):
            limit = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=user_limits)
            os.write(limit, str(USER_LIMITS.get(name, 0)).encode())
            os.close(limit)
    try:
        os.setgroups([])
    except PermissionError:
        if not identity.rootless:  # one mapped id comes with setgroups denied
            raise
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def drop_capabilities(keep: frozenset[str]) -> None:
    """Cut the bounding set: what root gets at exec is what is left of it, and what it inherits.

    Some engines start their containers with capabilities to inherit (CVE-2022-24769).
    """
    for name, number in syscalls.CAPABILITIES.items():
        if name not in keep:
            with suppress(OSError):  # a kernel older than the capability
                syscalls.drop_bounding(number)
    syscalls.inherit_nothing()


def limit(wanted: Sequence[tuple[int, int]], *, shared_with_root: bool) -> None:
    """Set resource limits, what every program gets and the `wanted` ones."""
    dump_no_core()
    for kind, value in (
        (resource.RLIMIT_NOFILE, _allowed(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)),
        *((kind, _allowed(kind, most)) for kind, most in SHARED_WITH_ROOT if shared_with_root),
        *wanted,
    ):
        resource.setrlimit(kind, (value, value))


def dump_no_core() -> None:
    """Keep the memory of what crashes from whoever takes core dumps on the host."""
    most = _allowed(resource.RLIMIT_CORE, NO_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def choose_processors(count: int | None) -> None:
    """Run on no more than so many processors; several helpers don't all choose the same."""
    if count is None:
        return
    allowed = sorted(os.sched_getaffinity(0))
    first = os.getppid() % len(allowed)
    os.sched_setaffinity(0, [*allowed[first:], *allowed[:first]][:count])


def _allowed(kind: int, most: int) -> int:
    """Return a limit that we may set: nobody here may raise one."""
    _, hard = resource.getrlimit(kind)
    return most if hard == resource.RLIM_INFINITY else min(most, hard)
