"""Shows a directory or file at a second place with attributes of its own (MOUNT_ATTR_*).

They are set on a detached copy, before anything can be reached through it. Kernels before 5.12
lack the call for that: there the copy is attached first, so do this only where nothing hostile is.
"""

import errno
import os
from collections.abc import Iterator

from containerdeploy import syscalls

# What a kernel without the call says, and an engine's filter that doesn't know it.
ABSENT = (errno.ENOSYS, errno.EPERM)
# The four attributes of a mount have the numbers of mount(2), and of statvfs(3).
PLAIN = (
    syscalls.MOUNT_ATTR_RDONLY
    | syscalls.MOUNT_ATTR_NOSUID
    | syscalls.MOUNT_ATTR_NODEV
    | syscalls.MOUNT_ATTR_NOEXEC
)


def show(
    source: str, target: str, attributes: int, *, recursive: bool = True, userns_fd: int = 0
) -> None:
    """Show `source` at `target`, with the mounts below it if `recursive`; raise OSError.

    With MOUNT_ATTR_IDMAP its ids are mapped as `userns_fd` does.
    """
    flags = syscalls.OPEN_TREE_CLONE | syscalls.OPEN_TREE_CLOEXEC
    tree = syscalls.open_tree(source, flags | (syscalls.AT_RECURSIVE if recursive else 0))
    try:
        attach(tree, target, attributes, recursive=recursive, userns_fd=userns_fd)
    finally:
        os.close(tree)


def attach(
    tree: int, target: str, attributes: int, *, recursive: bool = True, userns_fd: int = 0
) -> None:
    """Attach the detached copy `tree` with these attributes."""
    try:
        syscalls.mount_setattr(tree, attr_set=attributes, userns_fd=userns_fd, recursive=recursive)
    except OSError as err:
        if err.errno not in ABSENT or attributes & ~PLAIN:
            raise
        syscalls.move_mount(tree, target)
        return _remount(target, attributes, recursive=recursive)
    syscalls.move_mount(tree, target)
    return None


def change(path: str, attributes: int) -> None:
    """Add attributes to the one mount at `path`."""
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.mount_setattr(place, attr_set=attributes, recursive=False)
    except OSError as err:
        if err.errno not in ABSENT:
            raise
        _remount(path, attributes, recursive=False)
    finally:
        os.close(place)


def _remount(target: str, attributes: int, *, recursive: bool) -> None:
    for place in _mounts_below(os.path.realpath(target)) if recursive else (target,):
        kept = os.statvfs(place).f_flag & PLAIN
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | kept | attributes
        syscalls.mount(None, place, None, flags)


def _mounts_below(target: str) -> Iterator[str]:
    with open("/proc/self/mountinfo", "rb") as stream:
        for row in stream:
            place = (
                row.split()[4]
                .decode("unicode_escape")
                .encode("latin-1")
                .decode(errors="surrogateescape")
            )
            if place == target or place.startswith(target.rstrip("/") + "/"):
                yield place
