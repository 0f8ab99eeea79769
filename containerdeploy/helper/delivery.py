"""An artifact's last steps on this host: checked, then renamed into place."""

import hashlib
import os
import stat
from pathlib import Path

from containerdeploy import wire
from containerdeploy.errors import DeployError, ProtocolError

CHUNK_BYTES = 1 << 20


def deliver(artifact: wire.Artifact, staged: Path, target: Path) -> None:
    """Move `staged`/name to `target`; a file replaces a file, nothing replaces a directory.

    Raises ProtocolError when what lies there is not what the agent said, DeployError when the
    target can't be written.
    """
    source = staged / artifact.name
    if artifact.kind == "file":
        _check_file(source, artifact)
    elif not stat.S_ISDIR(source.lstat().st_mode):
        raise ProtocolError(
            f"the artifact {artifact.name!r} is not the directory it was said to be"
        )
    put_in_place(source, target)


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


def _check_file(path: Path, artifact: wire.Artifact) -> None:
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
        if _digest(descriptor) != artifact.sha256:
            raise ProtocolError(f"the artifact {artifact.name!r} has not the announced digest")


def _digest(descriptor: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
