"""What a write extension left at its location, taken only when the extension is dead."""

import fcntl
import os
import stat
from contextlib import suppress
from typing import Literal

from containerdeploy import wire
from containerdeploy.agent import trees
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.lease import Lease
from containerdeploy.frozen import frozen

CHUNK_BYTES = 1 << 20
PIPE_BYTES = 1 << 20
FIFO_MODE = 0o666


@frozen
class Taken:
    """An artifact as it lies in its slot; a directory has no digest of its own."""

    kind: Literal["file", "directory", "stream"]
    size_bytes: int
    sha256: str


class StreamFile:
    """The other end of a location that is a FIFO: written to a new file, digest on the way."""

    def __init__(self, fifo: str, path: str) -> None:
        make_fifo(fifo)
        self.reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with suppress(OSError):  # an ordinary user has a quota for pipes
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        import hashlib

        self._hash = hashlib.sha256()
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        for descriptor in (self.reader, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        self.reader = self._file = -1

    def taken(self) -> Taken:
        if not self._size:
            raise StepFailed("failed", "the extension wrote nothing to its location")
        return Taken(kind="file", size_bytes=self._size, sha256=self._hash.hexdigest())


def make_fifo(path: str) -> None:
    """Make a FIFO that the extension may write to, whoever owns the directory."""
    os.mkfifo(path)
    os.chmod(path, FIFO_MODE)


def take(slot: str, name: str, lease: Lease, *, wanted: wire.OutputKind) -> Taken | None:
    """Return what lies at `name` in `slot`; None where there is nothing. Raises StepFailed."""
    directory = trees.open_directory(slot)
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode) and wanted in ("any", "directory"):
            return Taken(kind="directory", size_bytes=_size_below(directory, name), sha256="")
        if stat.S_ISREG(found.st_mode) and wanted in ("any", "file", "stream"):
            return _take_file(directory, name, lease)
    except FileNotFoundError:
        return None
    finally:
        os.close(directory)
    kind = stat.filemode(found.st_mode)
    raise StepFailed("failed", f"what lies at its location is no {_words(wanted)} ({kind})")


def _take_file(directory: int, name: str, lease: Lease) -> Taken:
    import hashlib  # what the controller receives itself needs none here

    descriptor = os.open(
        name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
    )
    digest = hashlib.sha256()
    try:
        _refuse_hollow(descriptor)
        size = 0
        while chunk := os.read(descriptor, CHUNK_BYTES):
            lease.check()
            digest.update(chunk)
            size += len(chunk)
    finally:
        os.close(descriptor)
    return Taken(kind="file", size_bytes=size, sha256=digest.hexdigest())


def _refuse_hollow(descriptor: int) -> None:
    """Refuse a file that is longer than its disk: to read 10 TB of holes would take hours."""
    size, disk = os.fstat(descriptor).st_size, os.fstatvfs(descriptor)
    room = disk.f_blocks * disk.f_frsize
    if size > room:
        raise StepFailed(
            "failed",
            f"what lies at its location is longer ({size} bytes) than its disk ({room} bytes)",
            hint="write no more than will be used",
        )


def copy_file(source: str, target: str, name: str, taken: Taken) -> None:
    """Copy what was taken from one directory to another; raise StepFailed for a directory."""
    if taken.kind != "file":
        raise StepFailed(
            "failed",
            "its location's file system can't hold the directory with its owners",
            hint="write a tar file, or choose a location on ext4, xfs or btrfs",
        )
    reader = os.open(f"{source}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with (
        os.fdopen(reader, "rb") as old,
        os.fdopen(os.open(f"{target}/{name}", flags, 0o644), "wb") as new,
    ):
        while chunk := old.read(CHUNK_BYTES):
            new.write(chunk)


def _size_below(directory: int, name: str) -> int:
    root = trees.open_directory(name, directory)
    try:
        return sum(
            found.st_size for _, _, _, found in trees.walk(root) if stat.S_ISREG(found.st_mode)
        )
    finally:
        os.close(root)


def give_to_owner(slot: str, name: str) -> None:
    """Give a file to whoever owns the slot: the user who started the run, not the agent."""
    owner = os.stat(slot)
    with suppress(PermissionError):
        os.chown(f"{slot}/{name}", owner.st_uid, owner.st_gid, follow_symlinks=False)


def others(slot: str, name: str) -> list[str]:
    """Names in the slot beside the artifact's."""
    return sorted(entry for entry in os.listdir(slot) if entry != name)


def _words(wanted: wire.OutputKind) -> str:
    return "file or directory" if wanted == "any" else {"stream": "file"}.get(wanted, wanted)
