"""Removes directory trees that a container filled: any depth, any modes, no link followed."""

import errno
import os
from contextlib import suppress

_FULL = 0o700
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove a directory and all below it; nothing happens when it is gone already.

    Directories found inside are moved up to the top before they are emptied: the kernel follows
    no path of more than one name, and two descriptors are enough for any depth.
    """
    with suppress(FileNotFoundError):
        top = os.open(path, _DIRECTORY)
        try:
            number = 0
            while names := _unlink_files(top):
                for name in names:
                    number = _empty(top, name, number)
        finally:
            os.close(top)
        os.rmdir(path)


def _unlink_files(directory: int) -> list[str]:
    """Remove all but the directories; return their names."""
    directories = []
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            directories.append(entry.name)
        else:
            with suppress(FileNotFoundError):
                os.unlink(entry.name, dir_fd=directory)
    return directories


def _empty(top: int, name: str, number: int) -> int:
    """Move the directories in `name` up to the top, then remove it; return the last number."""
    with suppress(FileNotFoundError):
        inside = _open(top, name)
        try:
            for child in _unlink_files(inside):
                number = _move_up(inside, child, top, number)
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=top)
    return number


def _move_up(inside: int, child: str, top: int, number: int) -> int:
    """Rename to the next free name at the top."""
    while True:
        number += 1
        try:
            os.rename(child, f".removed-{number}", src_dir_fd=inside, dst_dir_fd=top)
        except OSError as err:
            if err.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            return number


def _open(parent: int, name: str) -> int:
    """Open a directory so that what is in it can be removed, where it is ours to say so."""
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
    if os.fstat(directory).st_mode & _FULL != _FULL:
        with suppress(PermissionError):
            os.fchmod(directory, _FULL)
    return directory
