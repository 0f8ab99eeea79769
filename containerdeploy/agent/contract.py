"""Holds a step to its sidecar's `writes`: whatever else it changed makes it a policy violation.

A path counts where it lies in the tree. An entry covers itself and all below it; of the source's
own symbolic links it follows those on its way, never one that a step has made: else one step could
lead the next one's writing elsewhere.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence

from containerdeploy import wire
from containerdeploy.agent.failures import StepFailed

CAPABILITY = "security.capability"
MOST_NAMED = 10
MOST_LINKS = 40
WILD = frozenset("*?[")
Names = tuple[str, ...]


class Contract:
    """What a step may change; collects what it changed beyond that.

    `newest` is the time in seconds that later modification times become in the end.
    """

    def __init__(self, step: wire.Step, base: str, newest: int) -> None:
        self._step = step
        self._newest_ns = newest * 10**9
        self._writes = [*_led_by(step.writes or (), base)]
        self._privileged = [*_led_by(step.privileged_files, base)]
        self._outside: dict[str, str] = {}
        self._undeclared: dict[str, str] = {}
        self._count = 0

    def change(self, change: wire.Change) -> None:
        """Judge a change that `entry` was not told of: what is gone, or the tree's own root."""
        if not _covers(self._writes, _names(change.path)):
            self._blame(self._outside, change.path, change.kind)

    def entry(
        self,
        path: str,
        new: tuple[int, str, os.stat_result],
        was: os.stat_result | None,
        change: wire.Change | None,
    ) -> None:
        """Judge an entry of the step's layer; `change` is what it is beside `was`, if anything."""
        directory, name, now = new
        if stat.S_ISCHR(now.st_mode) and now.st_rdev == 0:
            if change is not None:
                self.change(change)
            return
        kind = change.kind if change is not None else self._quiet_change(now, was)
        if not kind:
            return
        names = _names(path)
        is_way = kind == "added" and stat.S_ISDIR(now.st_mode) and _leads_to(self._writes, names)
        if not is_way and not _covers(self._writes, names):
            self._blame(self._outside, path, kind)
        if (power := _power(directory, name, now)) and not _covers(self._privileged, names):
            self._blame(self._undeclared, path, power)

    def _quiet_change(self, now: os.stat_result, was: os.stat_result | None) -> str:
        """Return what makes a file of the same content another: overlayfs keeps both otherwise."""
        if was is None or stat.S_ISDIR(now.st_mode):
            return ""  # a directory's time tells of what is in it
        if now.st_nlink > 1:  # copied up it has one name
            return "linked"
        times = (min(one.st_mtime_ns, self._newest_ns) for one in (now, was))
        return "time" if len({*times}) > 1 else ""

    def _blame(self, list_: dict[str, str], path: str, what: str) -> None:
        self._count += 1
        if len(list_) < MOST_NAMED:
            list_[path] = what

    def settle(self) -> None:
        """Raise StepFailed if anything was changed that had to be left alone."""
        parts = []
        if self._outside:
            declared = ", ".join(self._step.writes or ()) or "nothing"
            parts.append(f"it may write {declared}, but changed {_told(self._outside)}")
        if self._undeclared:
            parts.append(f"it left privileged files: {_told(self._undeclared)}")
        if not parts:
            return
        more = self._count - len(self._outside) - len(self._undeclared)
        detail = "; ".join(parts) + (f", and {more} more" if more else "")
        raise StepFailed("policy violation", detail)


def _led_by(entries: Sequence[str], base: str) -> Iterator[Names]:
    """Yield each entry, and where the links of the tree `base`, which nobody changes, lead it."""
    root = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for entry in entries:
            names = _names(entry.strip("/"))
            yield names
            if (led := _led(root, names)) != names:
                yield led
    finally:
        os.close(root)


def _led(root: int, names: Names) -> Names:
    """Follow the links on a path, and at its end, as the booted system would."""
    place: list[str] = []
    pending = [*reversed(names)]
    links = 0
    while pending and links < MOST_LINKS:
        name = pending.pop()
        if name in ("", ".", ".."):
            place = place[:-1] if name == ".." else place
            continue
        try:
            target = os.readlink("/".join([*place, name]), dir_fd=root)
        except OSError:
            place.append(name)
            continue
        links += 1
        place = [] if target.startswith("/") else place
        pending += reversed(target.split("/"))
    return names if pending else tuple(place)


def _names(path: str) -> Names:
    return tuple(path.split("/")) if path not in ("", ".") else ()


def _covers(entries: Sequence[Names], path: Names) -> bool:
    return any(len(path) >= len(entry) and _fits(entry, path) for entry in entries)


def _leads_to(entries: Sequence[Names], path: Names) -> bool:
    return any(len(path) < len(entry) and _fits(entry, path) for entry in entries)


def _fits(entry: Names, path: Names) -> bool:
    """Compare as many names as both have."""
    return all(map(_is_name, path, entry))


def _is_name(name: str, pattern: str) -> bool:
    if WILD.isdisjoint(pattern):
        return name == pattern
    from fnmatch import fnmatchcase  # takes longer to load than all of this

    return fnmatchcase(name, pattern)


def _power(directory: int, name: str, now: os.stat_result) -> str:
    """Say in a word what a file gives to whoever runs it, nothing for most."""
    if not stat.S_ISREG(now.st_mode):
        return ""
    if now.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return "setuid" if now.st_mode & stat.S_ISUID else "setgid"
    try:
        os.getxattr(f"/proc/self/fd/{directory}/{name}", CAPABILITY, follow_symlinks=False)
    except OSError as err:
        if err.errno in (errno.ENODATA, errno.ENOTSUP):
            return ""
    return "capability"  # also where nobody can tell


def _told(list_: dict[str, str]) -> str:
    return ", ".join(f"{_shown(path)} ({what})" for path, what in list_.items())


def _shown(path: str) -> str:
    """Return a path of the tree in one line of a bounded length."""
    text = "/" if path == "." else f"/{path}"
    text = text if len(text) < 200 else f"{text[:98]}…{text[-98:]}"
    return text if text.isprintable() else ascii(text)
