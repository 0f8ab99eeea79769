"""The layered tree of one deployment: bases, a layer for the metadata, a layer for each step."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from containerdeploy import syscalls
from containerdeploy.agent import identity as identities
from containerdeploy.agent import overlay, trees
from containerdeploy.agent.identity import Identity

PLACE = "/run/containerdeploy"


class LayeredTree:
    """Layers lie in `workspace` with plain ids and are mounted from id-mapped clones.

    Below `place`: `b0`, `b1` … (the topmost first) and `rw` are the clones, `merged` is where the
    tree is mounted; `p0`, `p1` … and `pw` lead to the plain directories, for `before`, the tree as
    it was under the newest layer.
    """

    def __init__(self, identity: Identity, workspace: str, name: str) -> None:
        self._identity = identity
        self._plain = f"{workspace}/{name}"
        self._place = f"{PLACE}/{name}"
        self._layers: list[int] = []
        self._bases: Sequence[str] = ()
        self.merged = f"{self._place}/merged"
        os.mkdir(self._plain, 0o700)
        for path in ("", "/rw", "/merged", "/before"):
            os.makedirs(self._place + path, 0o755, exist_ok=True)
        os.symlink(self._plain, f"{self._place}/pw")
        identities.clone_for(identity, self._plain, f"{self._place}/rw")

    def close(self) -> None:
        """Unmount everything and remove what the layers hold."""
        bases = [f"b{number}" for number in range(len(self._bases))]
        for name in ("merged", "before", "rw", *bases):
            with suppress(OSError):
                syscalls.umount(f"{self._place}/{name}", syscalls.MNT_DETACH)
        workspace, name = os.path.split(self._plain)
        for path, entry in ((workspace, name), os.path.split(self._place)):
            parent = trees.open_directory(path)
            try:
                trees.remove(parent, entry)
            finally:
                os.close(parent)

    def set_bases(self, bases: Sequence[str]) -> None:
        """Begin with these trees, the topmost first."""
        self._bases = bases
        for number, tree in enumerate(bases):
            os.symlink(tree, f"{self._place}/p{number}")
            os.mkdir(f"{self._place}/b{number}")
            identities.clone_for(self._identity, tree, f"{self._place}/b{number}")

    @property
    def bottom(self) -> str:
        """The tree as it was unpacked; of several, the one on top."""
        return self._bases[0]

    def private_directory(self, name: str) -> str:
        """Make an empty directory that belongs to the extension; return its id-mapped path."""
        os.mkdir(f"{self._plain}/{name}", 0o700)
        return f"{self._place}/rw/{name}"

    def plain_path(self, name: str) -> str:
        return f"{self._plain}/{name}"

    def remove_directory(self, name: str) -> None:
        parent = trees.open_directory(self._plain)
        try:
            trees.remove(parent, name)
        finally:
            os.close(parent)

    def add_layer(self) -> str:
        """Put a new, empty layer on top; return its plain directory."""
        below = f"{self._plain}/{self._layers[-1]}/up" if self._layers else self._bases[0]
        number = len(self._layers)
        upper = f"{self._plain}/{number}/up"
        os.makedirs(upper)
        os.mkdir(f"{self._plain}/{number}/wk")
        copy_attributes(below, upper, self.marks)
        self._layers.append(number)
        return upper

    @property
    def marks(self) -> str:
        """How the names of attributes begin that are the overlay's own on layers."""
        return overlay.marks(self._identity)

    @property
    def newest(self) -> str:
        """The plain directory of the newest layer, the overlay's own work included."""
        return f"{self._plain}/{self._layers[-1]}"

    @contextmanager
    def mounted(self, *, writable: bool) -> Iterator[str]:
        """Mount the tree, the newest layer taking the changes if `writable`; yield its path."""
        layers = list(reversed(self._layers))
        upper = f"rw/{layers.pop(0)}" if writable else None
        lowers = [f"rw/{number}/up" for number in layers]
        lowers += [f"b{number}" for number in range(len(self._bases))]
        overlay.mount(self._identity, self.merged, self._place, lowers, upper)
        try:
            yield self.merged
        finally:
            syscalls.umount(self.merged)

    @contextmanager
    def before(self) -> Iterator[str]:
        """Yield the tree under the newest layer, read-only and with plain ids."""
        layers = reversed(self._layers[:-1])
        lowers = [f"pw/{number}/up" for number in layers]
        lowers += [f"p{number}" for number in range(len(self._bases))]
        if len(lowers) == 1:
            yield self._bases[0]
            return
        target = f"{self._place}/before"
        overlay.mount(self._identity, target, self._place, lowers, None, plain=True)
        try:
            yield target
        finally:
            syscalls.umount(target)


def copy_attributes(source: str, target: str, marks: str = overlay.MARKS) -> None:
    """Give a directory another's owner, mode, extended attributes and times, not its `marks`."""
    found = os.stat(source, follow_symlinks=False)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        if not overlay.is_mark(name, marks):
            with suppress(OSError):
                os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False))
    os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))


def clamp_times(layer: str, newest: int) -> None:
    """Let nothing in a layer be newer than `newest` (seconds): when a step ran leaves no trace."""
    root = trees.open_directory(layer)
    limit = newest * 10**9
    try:
        if os.fstat(root).st_mtime_ns > limit:
            os.utime(root, ns=(limit, limit))
        for directory, _, name, found in trees.walk(root):
            if found.st_mtime_ns > limit and not _is_whiteout(found):
                os.utime(name, ns=(limit, limit), dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(root)


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
