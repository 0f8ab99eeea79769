"""Writes /baserock/deployment.meta as a layer of its own.

The layer is made beside the tree, not through it: no path of the tree is resolved, so a symbolic
link that someone planted there leads nowhere.
"""

import os
import stat

from containerdeploy.agent import layers

DIRECTORY = "baserock"
NAME = "deployment.meta"


def write(base: str, layer: str, text: str, mtime: int) -> None:
    """Fill `layer`, the one right above `base`; `mtime` in seconds since the epoch."""
    directory = f"{layer}/{DIRECTORY}"
    os.mkdir(directory, 0o755)
    os.chmod(directory, 0o755)
    if _is_directory(f"{base}/{DIRECTORY}"):
        layers.copy_attributes(f"{base}/{DIRECTORY}", directory)
    path = f"{directory}/{NAME}"
    with open(path, "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
        os.fchmod(stream.fileno(), 0o644)
    os.utime(path, (mtime, mtime))
    os.utime(directory, (mtime, mtime))


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode)
    except OSError:
        return False
