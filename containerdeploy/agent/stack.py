"""Lays unpacked archives over each other as if each had been unpacked onto those before it.

An overlay is right for everything but directories that an archive merely implies, by what lies
below them: those must not hide the owner, mode and times that an archive further down gave them.
"""

import errno
import os
import stat
from collections.abc import Sequence

from containerdeploy import syscalls
from containerdeploy.agent import layers, trees
from containerdeploy.frozen import frozen

BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
NO_WAY_THERE = (errno.ENOTDIR, errno.ELOOP)


@frozen
class Sheet:
    """An unpacked archive; `implied` are the directories that it doesn't hold itself."""

    tree: str
    implied: frozenset[str]


def seam(sheets: Sequence[Sheet], layer: str) -> None:
    """Fill the empty `layer`, to lie right above `sheets` (the topmost first).

    It holds the directories whose attributes come from further down, and what is above these.
    """
    winners: dict[str, str] = {".": _winner(".", sheets)}
    for path in frozenset().union(*(sheet.implied for sheet in sheets)):
        if _winner(path, sheets) != _topmost(path, sheets):
            winners |= {above: _winner(above, sheets) for above in _trail(path)}
    paths = sorted(winners, key=_depth)
    for path in paths[1:]:
        os.mkdir(f"{layer}/{path}", 0o700)
    for path in reversed(paths):  # a directory's time is set once it is filled
        layers.copy_attributes(f"{winners[path]}/{path}", f"{layer}/{path}")


def _winner(path: str, sheets: Sequence[Sheet]) -> str:
    """Return the topmost tree that holds the directory itself, else the one that shows it."""
    for sheet in sheets:
        found = _is_directory(sheet.tree, path)
        if found is False:
            break
        if found and path not in sheet.implied:
            return sheet.tree
    return _topmost(path, sheets)


def _topmost(path: str, sheets: Sequence[Sheet]) -> str:
    """Return the topmost tree that has anything there, nothing where that is no directory."""
    for sheet in sheets:
        found = _is_directory(sheet.tree, path)
        if found is not None:
            return sheet.tree if found else ""
    return ""


def _is_directory(tree: str, path: str) -> bool | None:
    """Look without following a link; None where there is nothing."""
    root = trees.open_directory(tree)
    try:
        found = syscalls.openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=BENEATH)
    except FileNotFoundError:
        return None
    except OSError as err:
        if err.errno not in NO_WAY_THERE:
            raise
        return False
    finally:
        os.close(root)
    try:
        return stat.S_ISDIR(os.fstat(found).st_mode)
    finally:
        os.close(found)


def _trail(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _depth(path: str) -> int:
    return 0 if path == "." else 1 + path.count("/")
