"""The store: sources unpacked once, and what a run needs while it lives.

    bases/<sha256>/tree       an unpacked source (<sha256>-marked-<ids> where its devices and
                              foreign owners are marks, see kept.py); beside it info.json, manifest
                              (what it is made of) and, once it has been verified, contents
                              (digests of what is in it)
    tmp/<workspace>/          upper layers, work, staging; `lock` is held by the agent that uses it
    locks/                    a file for each base, and for tmp, while somebody works on it

Owned by agents only: 0700, nodev, nosuid. What a dead agent left in tmp is told by its free lock.
Whoever uses a base holds a shared lock on its directory: nobody else may drop it then.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from containerdeploy import syscalls
from containerdeploy.agent import clones, trees
from containerdeploy.agent import identity as identities
from containerdeploy.agent.lease import Lease
from containerdeploy.frozen import as_mapping, frozen, replace

LOCK_POLL_S = 0.05
DIGEST_CHARACTERS = 64
WRITTEN_BACK_S = 120.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@frozen
class BaseInfo:
    """What is known of a base; `synced` says that its data is on the disk for certain.

    Waiting for the disk would double the time of an unpack. Until it is synced, a base is good only
    for the boot that wrote it. `implied` directories are not in the archive, only what lies below
    them; `.` is the tree itself. `manifest` and `contents` are the SHA-256 of the files of that
    name.
    """

    sha256: str
    members: int
    newest_mtime: int
    boot_id: str
    written: float
    synced: bool = False
    implied: Sequence[str] = ()
    manifest: str = ""
    contents: str = ""


class Store:
    """The directory that all agents of an engine share."""

    def __init__(self, root: str, lease: Lease, *, ids: int = identities.ALL) -> None:
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
        info = _read_info(directory)
        if isinstance(info, str):
            self._remove("bases", base_name(sha256, self._ids))
            return None
        if not info.synced and time.time() - info.written > WRITTEN_BACK_S:
            self._sync(directory, info)
        return info

    def use_base(self, sha256: str) -> int:
        """Keep a base from being dropped until the returned descriptor is closed."""
        descriptor = trees.open_directory(self.base_directory(sha256))
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def bases(self) -> list[str]:
        """Return the names of all bases, of whatever ids."""
        with os.scandir(f"{self.root}/bases") as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    @contextmanager
    def held(self, name: str) -> Iterator[BaseInfo | str]:
        """Yield what is known of a base, or why it can't be used; nobody drops it meanwhile."""
        descriptor = trees.open_directory(f"{self.root}/bases/{name}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield _read_info(f"{self.root}/bases/{name}")
        finally:
            os.close(descriptor)

    def drop(self, name: str) -> bool:
        """Remove a base; False if somebody uses it."""
        with self.lock(name[:DIGEST_CHARACTERS]):
            descriptor = trees.open_directory(f"{self.root}/bases/{name}")
            try:
                if not _try_lock(descriptor):
                    return False
                self._remove("bases", name)
            finally:
                os.close(descriptor)
        return True

    def record_contents(self, name: str, digests: Sequence[str]) -> None:
        """Keep what a base's members were found to hold, once it is on the disk for certain."""
        directory = f"{self.root}/bases/{name}"
        with self.lock(name[:DIGEST_CHARACTERS]):
            info = _read_info(directory)
            if isinstance(info, BaseInfo):
                import hashlib  # deploys have no need of it here

                data = "".join(f"{digest}\0" for digest in digests).encode("ascii")
                _write_whole(f"{directory}/contents", data)
                self._sync(directory, replace(info, contents=hashlib.sha256(data).hexdigest()))

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
        """Hold the lock of that name; waits for as long as the lease lasts. Its file goes again."""
        path = f"{self.root}/locks/{name}"
        while (descriptor := _take(path)) is None:
            self._lease.check()
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            os.unlink(path)
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
        """Remove the workspaces and lock files that nobody holds; return how many workspaces."""
        with self.lock("tmp"):
            dead = [name for name in os.listdir(f"{self.root}/tmp") if self._is_dead(name)]
        for name in dead:
            self._remove("tmp", name)
        for name in os.listdir(f"{self.root}/locks"):
            path = f"{self.root}/locks/{name}"
            if (descriptor := _take(path)) is not None:
                os.unlink(path)
                os.close(descriptor)
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
    """Keep a tree whose devices and owners are marks apart from the one that real root makes."""
    return sha256 if ids >= identities.ALL else f"{sha256}-marked-{ids}"


def new_info(
    sha256: str,
    *,
    members: int,
    newest_mtime: int,
    implied: Sequence[str] = (),
    manifest: str = "",
) -> BaseInfo:
    return BaseInfo(
        sha256=sha256,
        members=members,
        newest_mtime=newest_mtime,
        boot_id=_boot_id(),
        written=time.time(),
        implied=implied,
        manifest=manifest,
    )


def _protect(root: str) -> None:
    """Device nodes and setuid files lie in the store as data: they must not work there."""
    clones.show(root, root, syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID)
    os.chmod(root, 0o700)


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as stream:
        return stream.read().strip()


def _take(path: str) -> int | None:
    """Lock the file at `path`; None if another has it, or had it and took the file away."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(FileNotFoundError):
        if _try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    os.close(descriptor)
    return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_info(directory: str) -> BaseInfo | str:
    """Return what is known of a base, or in words why it can't be used."""
    try:
        with open(f"{directory}/info.json", encoding="utf-8") as stream:
            info = BaseInfo(**json.load(stream))
    except FileNotFoundError:
        return "it has no info.json"
    except (ValueError, TypeError):
        return "its info.json is damaged"
    if not (info.synced or info.boot_id == _boot_id()):
        return "it was not known to be on the disk when the machine stopped"
    return info


def _write_info(directory: str, info: BaseInfo) -> None:
    _write_whole(f"{directory}/info.json", json.dumps(as_mapping(info)).encode())


def _write_whole(path: str, data: bytes) -> None:
    """Give a file new content so that it is the old or the new, whatever happens."""
    with open(f"{path}.new", "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(f"{path}.new", path)
