"""What a tree on disk is made of, entry by entry, so that two trees can be compared."""

import hashlib
import os
import stat
from pathlib import Path

Census = dict[bytes, dict[str, object]]
# What the unpacking process may not set: documented losses.
LOST = ("trusted.", "security.selinux", "security.ima", "security.evm")


def census(root: Path) -> Census:
    """Describe all below `root` by path; hard links by the set of their names."""
    found: Census = {}
    inodes: dict[int, list[bytes]] = {}
    _walk(os.fsencode(root), b"", found, inodes)
    for entry in found.values():
        entry["links"] = sorted(inodes[entry.pop("inode")])  # type: ignore[call-overload]
    return found


def _walk(root: bytes, below: bytes, found: Census, inodes: dict[int, list[bytes]]) -> None:
    for item in os.scandir(os.path.join(root, below)):
        path = os.path.join(below, item.name)
        status = item.stat(follow_symlinks=False)
        inodes.setdefault(status.st_ino, []).append(path)
        found[path] = _entry(os.path.join(root, path), status)
        if stat.S_ISDIR(status.st_mode):
            _walk(root, path, found, inodes)


def _entry(path: bytes, status: os.stat_result) -> dict[str, object]:
    kind = stat.S_IFMT(status.st_mode)
    content: object = None
    if kind == stat.S_IFREG:
        with Path(os.fsdecode(path)).open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    elif kind == stat.S_IFLNK:
        content = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        content = os.major(status.st_rdev), os.minor(status.st_rdev)
    listed = os.listxattr(path, follow_symlinks=False)
    return {
        "mode": stat.filemode(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "inode": status.st_ino,
        "mtime": status.st_mtime_ns,
        "size": status.st_size if kind == stat.S_IFREG else 0,
        "blocks": status.st_blocks if kind == stat.S_IFREG else 0,
        "content": content,
        "xattrs": {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in listed
            if not name.startswith(LOST)
        },
    }
