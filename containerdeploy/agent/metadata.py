"""Writes /baserock/deployment.meta as a layer of its own.

The layer is made beside the tree, not through it: no path of the tree is resolved, so a symbolic
link that someone planted there leads nowhere.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from containerdeploy.agent import layers

DIRECTORY = "baserock"
NAME = "deployment.meta"


def write(bases: Sequence[str], layer: str, text: str, mtime: int) -> None:
    """Fill `layer`, which lies above `bases` (the topmost first); `mtime` since the epoch."""
    directory = f"{layer}/{DIRECTORY}"
    os.mkdir(directory, 0o755)
    os.chmod(directory, 0o755)
    below = next((path for path in _all(bases) if os.path.lexists(path)), "")
    if _is_directory(below):
        layers.copy_attributes(below, directory)
    path = f"{directory}/{NAME}"
    with open(path, "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
        os.fchmod(stream.fileno(), 0o644)
    os.utime(path, (mtime, mtime))
    os.utime(directory, (mtime, mtime))


def _all(bases: Sequence[str]) -> Iterator[str]:
    return (f"{base}/{DIRECTORY}" for base in bases)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode)
    except OSError:
        return False
