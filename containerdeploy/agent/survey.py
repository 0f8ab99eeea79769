"""Looks at what was unpacked: how much, how new, and what an overlay would take amiss."""

import os
import stat

from containerdeploy.agent import trees
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.manifest import Writer
from containerdeploy.frozen import frozen

PATH_MAX = 4095  # what a program can name
SUSPECT_CHARACTERS = 1000  # fewer can't be that many bytes
SHOWN_CHARACTERS = 200
LOOK = "see with tar --list what it is made of; the operator's policy can allow more"


@frozen
class Allowed:
    """What an archive may become; `reason` and `members_reason` say in words whose bounds they are.

    No member may have an attribute that begins with `marks`, where there are such.
    """

    bytes: int
    reason: str
    members: int
    members_reason: str = ""
    marks: str = ""


@frozen
class Survey:
    """What a look at an unpacked tree found; `newest_mtime` is in seconds since the epoch.

    `bytes` are what it takes up on the disk. `implied` are directories that the archive doesn't
    hold itself, so that they are as new as the unpacking. `manifest` is the digest of what was
    written of all members.
    """

    members: int
    bytes: int
    newest_mtime: int
    implied: tuple[str, ...] = ()
    manifest: str = ""


class _Tally:
    """Counts members and what they take up, held to what is allowed."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._linked: set[int] = set()
        self._largest = (0, "")
        self.members = self.bytes = 0

    def add(self, path: str, found: os.stat_result) -> None:
        self.members += 1
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in self._linked:
                return self._check(path)
            self._linked.add(found.st_ino)
        size = found.st_blocks * 512
        self.bytes += size
        if size > self._largest[0]:
            self._largest = size, path
        return self._check(path)

    def _check(self, path: str) -> None:
        allowed = self._allowed
        if self.members > allowed.members:
            raise _refused(
                f"it holds more than {allowed.members} members{allowed.members_reason}; "
                f"that at {shown(path)} is one more",
                hint=f"{LOOK}, sources: max-members",
            )
        if self.bytes > allowed.bytes:
            size, largest = self._largest
            raise _refused(
                f"it takes up more than {allowed.bytes} bytes, {allowed.reason}; "
                f"the largest member so far is {shown(largest)} with {size}",
                hint=f"{LOOK}, sources: max-expansion and max-size",
            )
        if len(path) > SUSPECT_CHARACTERS and len(os.fsencode(path)) > PATH_MAX:
            raise _refused(
                f"the path {shown(path)} is longer than {PATH_MAX} bytes",
                hint="no program can name such a path; leave it out",
            )


def survey(
    target: str, while_unpacking: range, allowed: Allowed, manifest: Writer | None = None
) -> Survey:
    """Count what was unpacked, and refuse what is too much or what overlayfs takes amiss.

    A directory whose time lies `while_unpacking` (nanoseconds) got it from nothing in the archive.
    """
    newest = 0
    tally = _Tally(allowed)
    root = trees.open_directory(target)
    implied = ["."] if os.fstat(root).st_mtime_ns in while_unpacking else []
    try:
        if manifest is not None:
            manifest.note(".", os.fstat(root))
        _refuse_marks(f"/proc/self/fd/{root}/.", ".", allowed.marks)
        for directory, path, name, found in trees.walk(root):
            tally.add(path, found)
            if manifest is not None:
                manifest.note(path, found)
            if allowed.marks and not stat.S_ISLNK(found.st_mode):
                _refuse_marks(f"/proc/self/fd/{directory}/{name}", path, allowed.marks)
            if stat.S_ISDIR(found.st_mode) and found.st_mtime_ns in while_unpacking:
                implied.append(path)
                continue
            newest = max(newest, int(found.st_mtime))
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                raise StepFailed(
                    "failed",
                    f"the source holds a character device 0:0 at {shown(path)}",
                    hint="overlayfs takes such a device for a deleted file; leave it out",
                )
    finally:
        os.close(root)
    return Survey(
        members=tally.members,
        bytes=tally.bytes,
        newest_mtime=newest,
        implied=tuple(implied),
        manifest=manifest.close() if manifest is not None else "",
    )


def _refuse_marks(place: str, path: str, marks: str) -> None:
    for name in os.listxattr(place, follow_symlinks=False) if marks else ():
        if name.startswith(marks):
            raise StepFailed(
                "failed",
                f"the source holds the attribute {shown(name)} at {shown(path)}",
                hint="an ordinary user's overlayfs takes it for a mark of its own; leave it out",
            )


def shown(path: str) -> str:
    """Quote a path, in part where it is long: an error is one line that can be read."""
    if len(path) <= SHOWN_CHARACTERS:
        return repr(path)
    half = SHOWN_CHARACTERS // 2
    return f"{path[:half]!r}…{path[-half:]!r}"


def _refused(cause: str, *, hint: str) -> StepFailed:
    return StepFailed("failed", f"the source can't be unpacked: {cause}", hint=hint)


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
