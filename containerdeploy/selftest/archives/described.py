"""A tree as a value to compare; used in a helper, so of the standard library only."""

import hashlib
import os
import stat
from collections.abc import Iterator

Entry = dict[str, object]
MOST_CONTENT = 16 << 20


def census(root: str) -> dict[str, Entry]:
    """Describe a tree by path, `.` being itself; the first name of an inode stands for it."""
    found: dict[str, Entry] = {}
    names: dict[int, str] = {}
    for path, full in walk(root):
        status = os.lstat(full)
        first = names.setdefault(status.st_ino, path)
        is_file, is_node = stat.S_ISREG(status.st_mode), status.st_mode & 0o020000
        found[path] = {
            "mode": stat.filemode(status.st_mode),
            "owner": (status.st_uid, status.st_gid),
            "device": status.st_rdev if is_node and not stat.S_ISDIR(status.st_mode) else 0,
            "same": first if not stat.S_ISDIR(status.st_mode) else path,
            "mtime": status.st_mtime_ns,
            "size": status.st_size if is_file else 0,
            "blocks": status.st_blocks if is_file else 0,
            "content": _content(full, status),
            "xattrs": _attributes(full),
        }
    return found


def walk(root: str) -> Iterator[tuple[str, str]]:
    """Yield every path below a root, relative and whole; no path may be too long to be named."""
    waiting = ["."]
    while waiting:
        path = waiting.pop()
        full = os.path.normpath(f"{root}/{path}")
        yield path, full
        if stat.S_ISDIR(os.lstat(full).st_mode):
            names = sorted(os.listdir(full))
            waiting += [os.path.normpath(f"{path}/{name}") for name in names]


def _content(path: str, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode) or status.st_blocks == 0:
        return ""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read(MOST_CONTENT)).hexdigest()


def _attributes(path: str) -> dict[str, str]:
    found = {}
    for name in os.listxattr(path, follow_symlinks=False):
        try:
            found[name] = os.getxattr(path, name, follow_symlinks=False).hex()
        except OSError as err:  # a broken capability is there, but can't be read
            found[name] = str(err.errno)
    found.pop("security.selinux", None)
    return found
