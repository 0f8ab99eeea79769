"""What of the definitions a step sees: every entry, told apart by what a change would leave."""

import os
import stat
from collections.abc import Iterable, Iterator

from containerdeploy.cache import digests
from containerdeploy.frozen import frozen

WHOLE = ""


@frozen
class Entry:
    """A file, directory, link or other entry; `path` is relative to the definitions.

    `link` is where a symbolic link leads. Times are in ns since the epoch.
    """

    path: str
    mode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    link: str = ""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


def visible(root: str, shown: Iterable[str], hidden: Iterable[str] = ()) -> tuple[Entry, ...]:
    """Return what lies at and below the paths `shown` (WHOLE for all), in order of path.

    Paths are relative to `root`. Nothing at or below a path of `hidden` is among it. What vanishes
    meanwhile is not there; links are not followed.
    """
    out = frozenset(hidden)
    found = {entry.path: entry for path in shown for entry in _below(root, path, out)}
    return tuple(found[path] for path in sorted(found))


def fingerprint(entries: Iterable[Entry]) -> str:
    """Return what stays the same only while nobody touches any of the entries.

    A change of a file that puts its size and times back leaves another time of change (ctime),
    which nobody can set.
    """
    return digests.of(
        [
            (one.path, one.mode, one.size_bytes, one.mtime_ns, one.ctime_ns, one.inode, one.link)
            for one in entries
            if not stat.S_ISDIR(one.mode)
        ],
        [(one.path, one.mode) for one in entries if stat.S_ISDIR(one.mode)],
    )


def times(entries: Iterable[Entry], epoch: int) -> str:
    """Return what can reach a layer of the entries' modification times; nothing if they can't.

    Layers hold no time later than `epoch` (seconds), so those after it are all the same: in a
    fresh clone all are.
    """
    old = [(one.path, one.mtime_ns) for one in entries if one.mtime_ns < epoch * 10**9]
    return digests.of(old) if old else ""


def _below(root: str, path: str, hidden: frozenset[str]) -> Iterator[Entry]:
    if path in hidden:
        return
    try:
        found = os.lstat(os.path.join(root, path))
        link = os.readlink(os.path.join(root, path)) if stat.S_ISLNK(found.st_mode) else ""
        names = os.listdir(os.path.join(root, path)) if stat.S_ISDIR(found.st_mode) else []
    except (FileNotFoundError, NotADirectoryError):
        return
    yield Entry(
        path=path,
        mode=found.st_mode,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        link=link,
    )
    for name in names:
        yield from _below(root, os.path.join(path, name), hidden)
