"""The store: sources unpacked once, and what a run needs while it lives.

    bases/<sha256>/tree       an unpacked source; info.json beside it (<sha256>-<count>-ids where
                              its owners could not all be kept)
    tmp/<workspace>/          upper layers, work, staging; `lock` is held by the agent that uses it
    locks/                    one file per base, and one for tmp

Owned by agents only: 0700, nodev, nosuid. What a dead agent left in tmp is told by its free lock.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from containerdeploy import syscalls
from containerdeploy.agent import identity as identities
from containerdeploy.agent import trees
from containerdeploy.agent.lease import Lease
from containerdeploy.frozen import as_mapping, frozen, replace

LOCK_POLL_S = 0.05
WRITTEN_BACK_S = 120.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@frozen
class BaseInfo:
    """What is known of a base; `synced` says that its data is on the disk for certain.

    Waiting for the disk would double the time of an unpack. Until it is synced, a base is good only
    for the boot that wrote it. `implied` directories are not in the archive, only what lies below
    them; `.` is the tree itself.
    """

    sha256: str
    members: int
    newest_mtime: int
    boot_id: str
    written: float
    synced: bool = False
    implied: Sequence[str] = ()


class Store:
    """The directory that all agents of an engine share."""

    def __init__(self, root: str, lease: Lease, *, ids: int = identities.COUNT) -> None:
        """Open it; `ids` is how many user ids an unpacked tree's owners can be."""
        self.root = root
        self._lease = lease
        self._ids = ids
        _protect(root)
        for name in ("bases", "tmp", "locks"):
            os.makedirs(f"{root}/{name}", 0o700, exist_ok=True)

    def base_directory(self, sha256: str) -> str:
        return f"{self.root}/bases/{base_name(sha256, self._ids)}"

    def base_info(self, sha256: str) -> BaseInfo | None:
        """Return what is known of a whole, usable base, or None; drop one that isn't."""
        directory = self.base_directory(sha256)
        try:
            with open(f"{directory}/info.json", encoding="utf-8") as stream:
                info = BaseInfo(**json.load(stream))
        except (FileNotFoundError, ValueError, TypeError):
            info = None
        if info is None or not (info.synced or info.boot_id == _boot_id()):
            self._remove("bases", base_name(sha256, self._ids))
            return None
        if not info.synced and time.time() - info.written > WRITTEN_BACK_S:
            self._sync(directory, info)
        return info

    def seal_base(self, workspace: str, name: str, info: BaseInfo) -> None:
        """Give an unpacked tree its place; the rename makes it appear whole or not at all."""
        staged = f"{workspace}/{name}"
        _write_info(staged, info)
        os.rename(staged, self.base_directory(info.sha256))

    def _sync(self, directory: str, info: BaseInfo) -> None:
        descriptor = trees.open_directory(directory)
        try:
            syscalls.syncfs(descriptor)
        finally:
            os.close(descriptor)
        _write_info(directory, replace(info, synced=True))

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of that name; waits for as long as the lease lasts."""
        descriptor = os.open(
            f"{self.root}/locks/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            while not _try_lock(descriptor):
                self._lease.check()
                time.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def workspace(self, name: str) -> Iterator[str]:
        """A private directory in the store, removed at the end, swept by others if we die."""
        with self.lock("tmp"):
            path = f"{self.root}/tmp/{name}"
            os.mkdir(path, 0o700)
            held = os.open(f"{path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            self._remove("tmp", name)
            os.close(held)

    def sweep(self) -> int:
        """Remove the workspaces that nobody holds; return how many there were."""
        with self.lock("tmp"):
            dead = [name for name in os.listdir(f"{self.root}/tmp") if self._is_dead(name)]
        for name in dead:
            self._remove("tmp", name)
        return len(dead)

    def _is_dead(self, name: str) -> bool:
        try:
            descriptor = os.open(f"{self.root}/tmp/{name}/lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            return _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _remove(self, place: str, name: str) -> None:
        """Take it out of sight first: a half removed base must not be taken for one."""
        gone = f"{os.urandom(16).hex()}.gone"
        with suppress(FileNotFoundError):
            os.rename(f"{self.root}/{place}/{name}", f"{self.root}/tmp/{gone}")
        parent = trees.open_directory(f"{self.root}/tmp")
        try:
            trees.remove(parent, gone)
        finally:
            os.close(parent)


def base_name(sha256: str, ids: int) -> str:
    """Keep a tree whose owners were lost apart from the whole one that more ids can make."""
    return sha256 if ids >= identities.COUNT else f"{sha256}-{ids}-ids"


def new_info(
    sha256: str, *, members: int, newest_mtime: int, implied: Sequence[str] = ()
) -> BaseInfo:
    return BaseInfo(
        sha256=sha256,
        members=members,
        newest_mtime=newest_mtime,
        boot_id=_boot_id(),
        written=time.time(),
        implied=implied,
    )


def _protect(root: str) -> None:
    """Device nodes and setuid files lie in the store as data: they must not work there."""
    tree = syscalls.open_tree(root)
    try:
        attributes = syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID
        syscalls.mount_setattr(tree, attr_set=attributes)
        syscalls.move_mount(tree, root)
    finally:
        os.close(tree)
    os.chmod(root, 0o700)


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as stream:
        return stream.read().strip()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_info(directory: str, info: BaseInfo) -> None:
    temporary = f"{directory}/info.json.new"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(as_mapping(info), stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, f"{directory}/info.json")
