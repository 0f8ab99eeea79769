"""Looks at what was unpacked: how much, how new, and what an overlay would take amiss."""

import os
import stat

from containerdeploy.agent import trees
from containerdeploy.agent.failures import StepFailed
from containerdeploy.frozen import frozen


@frozen
class Survey:
    """What a look at an unpacked tree found; `newest_mtime` is in seconds since the epoch.

    `implied` are directories that the archive doesn't hold itself, so that they are as new as the
    unpacking.
    """

    members: int
    newest_mtime: int
    implied: tuple[str, ...] = ()


def survey(target: str, while_unpacking: range) -> Survey:
    """Count what was unpacked, and refuse what an overlay would take for something else.

    A directory whose time lies `while_unpacking` (nanoseconds) got it from nothing in the archive.
    """
    members = newest = 0
    root = trees.open_directory(target)
    implied = ["."] if os.fstat(root).st_mtime_ns in while_unpacking else []
    try:
        for _, path, _, found in trees.walk(root):
            members += 1
            if stat.S_ISDIR(found.st_mode) and found.st_mtime_ns in while_unpacking:
                implied.append(path)
                continue
            newest = max(newest, int(found.st_mtime))
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                raise StepFailed(
                    "failed",
                    f"the source holds a character device 0:0 at {path!r}",
                    hint="overlayfs takes such a device for a deleted file; leave it out",
                )
    finally:
        os.close(root)
    return Survey(members=members, newest_mtime=newest, implied=tuple(implied))


def settle(target: str, found: Survey) -> None:
    """Give implied directories a time that doesn't tell when the archive was unpacked."""
    implied, seconds = frozenset(found.implied), found.newest_mtime
    root = trees.open_directory(target)
    try:
        for directory, path, name, _ in trees.walk(root) if implied else ():
            if path in implied:
                os.utime(name, (seconds, seconds), dir_fd=directory, follow_symlinks=False)
        if "." in implied:
            os.utime(root, (seconds, seconds))
    finally:
        os.close(root)
