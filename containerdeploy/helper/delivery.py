"""An artifact's last steps on this host, once its helper is gone: checked, then renamed into place.

While a helper lives it may write to what it left, whatever it is called by then. So what is
announced is only taken out of its sight at once; it is looked at when nobody is left to change it.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from containerdeploy import wire
from containerdeploy.errors import DeployError, Interrupted, ProtocolError

CHUNK_BYTES = 1 << 20


def take_out(source: Path, received: Path) -> None:
    """Move an entry, whatever it is, to where its helper can't reach its name."""
    try:
        source.rename(received)
    except OSError as err:
        raise ProtocolError(
            f"the artifact {source.name!r} can't be taken", details=str(err)
        ) from err


def deliver(
    artifact: wire.Artifact,
    received: Path,
    target: Path,
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Move what was `received` to `target`; a file replaces a file, nothing replaces a directory.

    Raises ProtocolError when it is not what the agent said, DeployError when the target can't be
    written, Interrupted when `is_stopping`.
    """
    if artifact.kind == "file":
        _check_file(received, artifact, is_stopping)
    else:
        _check_directory(received, artifact)
    put_in_place(received, target)


def put_in_place(source: Path, target: Path) -> None:
    """Rename; raise DeployError if a directory is in the way or the target can't be written."""
    refuse_directory(target)
    try:
        if source.is_dir() and os.path.lexists(target):
            raise FileExistsError(f"{target} exists")
        source.rename(target)
    except OSError as err:
        raise DeployError(
            f"cannot put the result at {target}", details=str(err), hint="choose another location"
        ) from err


def refuse_directory(target: Path) -> None:
    """Raise DeployError if a directory is in the way."""
    if target.is_dir() and not target.is_symlink():
        raise DeployError(
            f"{target} is a directory",
            details="a result replaces a file, never a directory",
            hint="remove it, or choose another location",
        )


def _check_file(path: Path, artifact: wire.Artifact, is_stopping: Callable[[], bool]) -> None:
    """Open without following links or blocking, and compare size and digest."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        raise ProtocolError(
            f"the artifact {artifact.name!r} can't be read", details=str(err)
        ) from err
    with os.fdopen(descriptor, "rb", buffering=0):
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ProtocolError(f"the artifact {artifact.name!r} is not a regular file")
        if found.st_size != artifact.size_bytes:
            raise ProtocolError(
                f"the artifact {artifact.name!r} has {found.st_size} bytes, "
                f"{artifact.size_bytes} were announced"
            )
        _refuse_larger_than_disk(descriptor, artifact)
        if _digest(descriptor, is_stopping) != artifact.sha256:
            raise ProtocolError(f"the artifact {artifact.name!r} has not the announced digest")


def _refuse_larger_than_disk(descriptor: int, artifact: wire.Artifact) -> None:
    """A hole costs nobody anything but him who has to read it."""
    disk = os.fstatvfs(descriptor)
    if artifact.size_bytes > disk.f_blocks * disk.f_frsize:
        raise ProtocolError(
            f"the artifact {artifact.name!r} is larger than the disk that it lies on",
            details=f"{artifact.size_bytes} bytes, nearly all of them holes",
        )


def _digest(descriptor: int, is_stopping: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, CHUNK_BYTES):
        if is_stopping():
            raise Interrupted("stopped")
        digest.update(chunk)
    return digest.hexdigest()


def _check_directory(path: Path, artifact: wire.Artifact) -> None:
    """An extension can't make device nodes; a helper could, and here they would work."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise ProtocolError(
            f"the artifact {artifact.name!r} is not the directory it was said to be"
        )
    for found in _devices(path):
        raise ProtocolError(
            f"the artifact {artifact.name!r} holds a device node",
            details=str(found.relative_to(path)),
        )


def _devices(root: Path) -> Iterator[Path]:
    """Yield the device nodes below a directory; what may not be read is left out."""
    waiting = [str(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                        mode = entry.stat(follow_symlinks=False).st_mode
                        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
                            yield Path(entry.path)
        except PermissionError:
            continue
        except OSError as err:
            raise ProtocolError("the artifact is too deep to look into", details=str(err)) from err
