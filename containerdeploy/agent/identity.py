"""Who an extension is: a user namespace whose root is nobody outside it.

Strict mode: the namespace maps 65,536 ids that no account uses, and directories are shown to it
through id-mapped mounts, so that files keep their plain ids on disk. Rootless mode (the agent
itself sits in a user namespace): the kernel refuses id-mapped mounts there, ids pass through
unchanged, and root is the user who started the run.
"""

import os
from collections.abc import Sequence

from containerdeploy import syscalls
from containerdeploy.frozen import frozen

STRICT_BASE = 524_288
COUNT = 65_536
ALL = 4_294_967_295


@frozen
class Identity:
    """The user namespace of extensions: `descriptor` opens it, `base` is what its root is here."""

    rootless: bool
    descriptor: int
    base: int
    count: int


def establish() -> Identity:
    """Make the user namespace that all of this job's extensions share, one after the other."""
    mapped = _mapped_ids()
    if mapped == [(0, ALL)]:
        descriptor = new_user_namespace([(0, STRICT_BASE, COUNT)])
        return Identity(rootless=False, descriptor=descriptor, base=STRICT_BASE, count=COUNT)
    # An extent must lie within one extent of the parent's map: hand ours on as they are.
    descriptor = new_user_namespace([(start, start, length) for start, length in mapped])
    count = sum(length for _, length in mapped)
    return Identity(rootless=True, descriptor=descriptor, base=0, count=count)


def _mapped_ids() -> list[tuple[int, int]]:
    """The ids of our own user namespace that are somebody outside it, as (first, how many)."""
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        rows = [[int(word) for word in line.split()] for line in stream]
    return [(start, length) for start, _, length in sorted(rows)]


def new_user_namespace(extents: Sequence[tuple[int, int, int]]) -> int:
    """Return a descriptor of a new user namespace; `extents` are (inside, outside, count)."""
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        _wait_in_new_namespace(ready_write, done_read, done_write)
    try:
        os.close(ready_write)
        answer = os.read(ready_read, 200)
        if answer != b"ready":
            raise OSError(f"no user namespace: {answer.decode(errors='replace')}")
        text = "".join("{} {} {}\n".format(*extent) for extent in extents)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as stream:
                stream.write(text)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.close(done_read)
        os.close(ready_read)
        os.waitpid(child, 0)


def _wait_in_new_namespace(ready: int, done: int, other: int) -> None:
    try:
        os.close(other)
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(ready, b"ready")
        os.read(done, 1)
    except OSError as err:
        os.write(ready, str(err).encode()[:200])
    finally:
        os._exit(0)


def clone_for(identity: Identity, source: str, target: str) -> None:
    """Show `source` at `target` with plain ids as the extension's own; nodev."""
    tree = syscalls.open_tree(source)
    try:
        attributes = syscalls.MOUNT_ATTR_NODEV
        if identity.rootless:
            syscalls.mount_setattr(tree, attr_set=attributes)
        else:
            syscalls.mount_setattr(
                tree,
                attr_set=attributes | syscalls.MOUNT_ATTR_IDMAP,
                userns_fd=identity.descriptor,
            )
        syscalls.move_mount(tree, target)
    finally:
        os.close(tree)


def clone_owned_by(identity: Identity, source: str, target: str) -> None:
    """Show `source`, read-only, with its owner's files as root's.

    Definitions lie in some user's home; files that only their owner may read must be readable for
    the extension, whose root maps to no account of this host. Where the file system can't be
    id-mapped (FUSE, some network file systems) it is shown as it is: what is world-readable there
    can be read.
    """
    tree = syscalls.open_tree(source)
    read_only = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID
    try:
        syscalls.mount_setattr(tree, attr_set=read_only)
        if not identity.rootless:
            _map_owner_to_root(identity, tree, os.stat(source))
        syscalls.move_mount(tree, target)
    finally:
        os.close(tree)


def _map_owner_to_root(identity: Identity, tree: int, owner: os.stat_result) -> None:
    uid = owner.st_uid
    namespace = new_user_namespace(_swapped(uid, identity))
    try:
        syscalls.mount_setattr(tree, attr_set=syscalls.MOUNT_ATTR_IDMAP, userns_fd=namespace)
    except OSError:
        return  # as the docstring says: shown as it is
    finally:
        os.close(namespace)


def _swapped(owner: int, identity: Identity) -> list[tuple[int, int, int]]:
    """Extents that give `owner` root's place and root the owner's."""
    base, count = identity.base, identity.count
    if owner == 0:
        return [(0, base, count)]
    if owner >= count:
        return [(owner, base, 1), (1, base + 1, count - 1)]
    extents = [(owner, base, 1), (0, base + owner, 1), (1, base + 1, owner - 1)]
    extents.append((owner + 1, base + owner + 1, count - owner - 1))
    return [extent for extent in extents if extent[2] > 0]


def discard(target: str) -> None:
    """Take a clone away, even where something still holds it open."""
    syscalls.umount(target, syscalls.MNT_DETACH)
