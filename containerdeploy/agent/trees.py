"""Walks and removes trees that someone hostile has filled: by descriptors, at any depth.

Directories are opened with O_NOFOLLOW relative to their parent, and left through `..`, checked to
be the parent that was left: no path is ever resolved, no recursion runs out, and two descriptors
are enough for a thousand levels.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TreeMoved(Exception):
    """A directory is not where it was a moment ago: someone else is at work in the tree."""


def open_directory(name: str, parent: int | None = None) -> int:
    return os.open(name, DIRECTORY, dir_fd=parent)


def climb(directory: int, expected: tuple[int, int]) -> int:
    """Return a descriptor of the parent, which must be the (device, inode) that is expected."""
    parent = open_directory("..", directory)
    found = os.fstat(parent)
    if (found.st_dev, found.st_ino) != expected:
        os.close(parent)
        raise TreeMoved
    return parent


def identity(directory: int) -> tuple[int, int]:
    found = os.fstat(directory)
    return found.st_dev, found.st_ino


def walk(root: int) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """Yield (directory descriptor, path below the root, name, lstat), parents before children.

    Entries come in code-point order. The descriptor is only good until the next step. `root` stays
    open.
    """
    current = os.dup(root)
    try:
        trail: list[tuple[str, list[str], tuple[int, int]]] = []
        prefix, names = "", _names(current)
        while True:
            if not names:
                if not trail:
                    return
                prefix, names, expected = trail.pop()
                parent = climb(current, expected)
                os.close(current)
                current = parent
                continue
            name = names.pop()
            found = os.stat(name, dir_fd=current, follow_symlinks=False)
            yield current, prefix + name, name, found
            if stat.S_ISDIR(found.st_mode):
                trail.append((prefix, names, identity(current)))
                child = open_directory(name, current)
                os.close(current)
                current = child
                prefix, names = f"{prefix}{name}/", _names(current)
    finally:
        os.close(current)


def _names(directory: int) -> list[str]:
    """Names in reverse order, so that popping takes them in order."""
    return sorted(os.listdir(directory), reverse=True)


def remove(parent: int, name: str) -> None:
    """Remove an entry and all below it; a missing one is fine. Never leaves the file system.

    Several may be at it: whatever one of them misses, another has just removed.
    """
    while _is_there(parent, name):
        with suppress(FileNotFoundError):
            _remove_once(parent, name)


def _remove_once(parent: int, name: str) -> None:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        return os.unlink(name, dir_fd=parent)
    _empty(parent, name, found.st_dev)
    return os.rmdir(name, dir_fd=parent)


def _is_there(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _empty(parent: int, name: str, device: int) -> None:
    current = open_directory(name, parent)
    try:
        trail: list[tuple[str, list[str], tuple[int, int]]] = []
        full = _remove_files(current, device)
        while full or trail:
            if full:
                deeper = full.pop()
                trail.append((deeper, full, identity(current)))
                child = open_directory(deeper, current)
                full = _remove_files(child, device)
            else:
                left, full, expected = trail.pop()
                child = climb(current, expected)
                os.rmdir(left, dir_fd=child)
            os.close(current)
            current = child
    finally:
        os.close(current)


def _remove_files(directory: int, device: int) -> list[str]:
    """Remove all that can be removed at once; return the directories to be emptied first."""
    with os.scandir(directory) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    full = []
    for name, is_directory in names:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
            continue
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_dev != device:
                raise
            full.append(name)
    return full
