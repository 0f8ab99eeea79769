"""Who an extension is: a user namespace whose root is nobody outside it.

Strict mode: the namespace maps 65,536 ids that no account uses, and directories are shown to it
through id-mapped mounts, so that files keep their plain ids on disk. Rootless mode (the agent
itself sits in a user namespace): the kernel refuses id-mapped mounts there, ids pass through
unchanged, and root is the user who started the run. Compat mode: no namespace of users at all;
the extension is the agent's own root, with less power.
"""

import os
from collections.abc import Sequence

from containerdeploy import syscalls, wire
from containerdeploy.agent import clones
from containerdeploy.frozen import frozen

STRICT_BASE = 524_288
COUNT = 65_536
ALL = 4_294_967_295


@frozen
class Identity:
    """The user namespace of extensions: `descriptor` opens it, `base` is what its root is here.

    In compat mode there is none.
    """

    mode: wire.Mode
    descriptor: int
    base: int
    count: int

    @property
    def rootless(self) -> bool:
        return self.mode == "rootless"

    @property
    def maps_ids(self) -> bool:
        """Whether directories are shown to extensions through id-mapped mounts."""
        return self.mode == "strict"

    @property
    def is_real_root(self) -> bool:
        return self.mode == "compat"

    @property
    def has_loopback(self) -> bool:
        """Whether there is an interface `lo` in a network of an extension's own.

        Whoever owns the user namespace of a network has all power over it, so real root's belongs
        to nobody's: only an agent with the capability can bring up what is in there.
        """
        return not self.is_real_root or _may_raise_interfaces()


def natural_mode() -> wire.Mode:
    """Return the best mode that this process's own place allows."""
    return "strict" if mapped_ids() == [(0, ALL)] else "rootless"


def establish(mode: wire.Mode) -> Identity:
    """Make the user namespace that all of this job's extensions share, one after the other."""
    if mode == "strict":
        descriptor = _new_user_namespace([(0, STRICT_BASE, COUNT)])
        return Identity(mode=mode, descriptor=descriptor, base=STRICT_BASE, count=COUNT)
    if mode == "compat":
        return Identity(mode=mode, descriptor=-1, base=0, count=COUNT)
    # An extent must lie within one extent of the parent's map: hand ours on as they are.
    descriptor = _new_user_namespace([(start, start, length) for start, length in mapped_ids()])
    return Identity(mode=mode, descriptor=descriptor, base=0, count=mapped_count())


def _may_raise_interfaces() -> bool:
    number = syscalls.CAPABILITIES["NET_ADMIN"]
    with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
        effective = next(line for line in stream if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> number & 1)


def mapped_count() -> int:
    """Return how many ids of our own user namespace are somebody outside it."""
    return sum(length for _, length in mapped_ids())


def mapped_ids() -> list[tuple[int, int]]:
    """The ids of our own user namespace that are somebody outside it, as (first, how many)."""
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        rows = [[int(word) for word in line.split()] for line in stream]
    return [(start, length) for start, _, length in sorted(rows)]


def _new_user_namespace(extents: Sequence[tuple[int, int, int]]) -> int:
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
    attributes = syscalls.MOUNT_ATTR_NODEV
    if not identity.maps_ids:
        clones.show(source, target, attributes)
        return
    attributes |= syscalls.MOUNT_ATTR_IDMAP
    clones.show(source, target, attributes, userns_fd=identity.descriptor)


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
        if identity.maps_ids:
            _map_owner_to_root(identity, tree, os.stat(source))
        clones.attach(tree, target, read_only)
    finally:
        os.close(tree)


def _map_owner_to_root(identity: Identity, tree: int, owner: os.stat_result) -> None:
    uid = owner.st_uid
    namespace = _new_user_namespace(_swapped(uid, identity))
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
