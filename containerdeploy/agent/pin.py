"""Holds an extension to the bytes that the policy judged, whatever becomes of the definitions.

These are a directory of the host's and may change while a run lasts. A layer over them has the
extension's file, checked, and the directories and links that lead to it: what lies on this way is
the same from the check to the last time that an interpreter opens it.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from containerdeploy import syscalls, wire
from containerdeploy.agent import layers, overlay
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.identity import Identity
from containerdeploy.agent.layers import LayeredTree

CLONE = "definitions"  # below layers.PLACE
NAME = "pin"
PLACE = f"{layers.PLACE}/pinned"
MOST_NAMES = 200
MOST_BYTES = 1 << 30
PIECE = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def definitions(step: wire.Step, tree: LayeredTree, identity: Identity) -> Iterator[str]:
    """Yield the directory that a step is to see as the definitions; raise StepFailed."""
    if not step.sha256:
        yield f"{layers.PLACE}/{CLONE}"
        return
    layer = tree.private_directory(NAME)
    try:
        _fill(tree.plain_path(NAME), step)
        os.chmod(tree.plain_path(NAME), 0o755)
        os.makedirs(PLACE, exist_ok=True)
        lowers = [os.path.relpath(layer, layers.PLACE), CLONE]
        overlay.mount(identity, PLACE, layers.PLACE, lowers, None)
        try:
            yield PLACE
        finally:
            syscalls.umount(PLACE, syscalls.MNT_DETACH)
    finally:
        tree.remove_directory(NAME)


def _fill(layer: str, step: wire.Step) -> None:
    """Copy what leads to the extension, and then its file, which has to have its digest."""
    root = os.open(wire.DEFINITIONS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pending = step.program.removeprefix(f"{wire.DEFINITIONS}/").split("/")[::-1]
        place: list[str] = []
        for _ in range(MOST_NAMES):
            name = pending.pop()
            if name in ("", ".", ".."):
                place = place[:-1] if name == ".." else place
                continue
            path = "/".join([*place, name])
            found = os.stat(path, dir_fd=root, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                pending += _copy_link(root, path, layer).split("/")[::-1]
            elif pending:
                os.makedirs(f"{layer}/{path}", exist_ok=True)
                os.chmod(f"{layer}/{path}", stat.S_IMODE(found.st_mode) & 0o777)
                place.append(name)
            else:
                return _copy_file(root, path, layer, step.sha256)
        raise OSError("too many links lead to it")
    except (OSError, IndexError) as err:
        raise StepFailed("cannot start", f"{step.program}: {err}") from err
    finally:
        os.close(root)


def _copy_link(root: int, path: str, layer: str) -> str:
    target = os.readlink(path, dir_fd=root)
    if not os.path.lexists(f"{layer}/{path}"):
        os.symlink(target, f"{layer}/{path}")
    if target.startswith("/"):
        raise OSError(f"an absolute link leads to it: {path}")
    return target


def _copy_file(root: int, path: str, layer: str, expected: str) -> None:
    digest, size = _sha256(), 0
    with (
        os.fdopen(os.open(path, _READ, dir_fd=root), "rb") as source,
        open(f"{layer}/{path}", "wb") as target,
    ):
        found = os.fstat(source.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("is no regular file")
        while (piece := source.read(PIECE)) and size < MOST_BYTES:
            size += len(piece)
            digest.update(piece)
            target.write(piece)
        os.fchmod(target.fileno(), stat.S_IMODE(found.st_mode) & 0o777)
    if digest.hexdigest() != expected:
        told = f"it has changed since the policy judged it: sha256 {digest.hexdigest()}"
        raise OSError(f"{told}, expected {expected}")


def _sha256() -> Any:
    """Return a new digest without loading OpenSSL, which takes longer than all else here."""
    return __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256()
