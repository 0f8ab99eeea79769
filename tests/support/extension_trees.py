"""Trees with all that an archive or a copy has to keep, and what a tree is made of."""

import os
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from extension_world import EXTENSIONS

EPOCH = 1_500_000_000
OLD_NS = 1_234_567_890_123_456_789
# cap_net_raw=ep, as in linux/capability.h: revision 2 with the effective bit.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
NOBODY = 0xFFFFFFFF


def acl(user: int) -> bytes:
    """Pack user::rw- user:USER:rw- group::r-- mask::rw- other::r-- as linux/posix_acl_xattr.h."""
    entries = ((1, 6, NOBODY), (2, 6, user), (4, 4, NOBODY), (16, 6, NOBODY), (32, 4, NOBODY))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# A user that no machine has a name for.
ACL = acl(3_000_001)
ATTRIBUTES = {
    "user.b": b"\0binary\n=\xff",
    "user.a": b"",
    "security.capability": CAPABILITY,
    "trusted.t": b"of root",
}


def write_extension(
    name: str, *arguments: str | Path, prefix: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run an extension with the protocol's environment."""
    fixed = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    fixed |= {"SOURCE_DATE_EPOCH": str(EPOCH), "UPGRADE": "no", **environment}
    argv = [*prefix, EXTENSIONS / name, *arguments]
    return subprocess.run(
        argv, env=fixed, capture_output=True, text=True, errors="surrogateescape", timeout=60
    )


def make_tree(root: Path, *, backwards: bool = False) -> Path:
    """Make a tree of everything; `backwards` makes the same one in another order."""
    order = -1 if backwards else 1
    for name in ("d", "empty", "n" * 255, "sticky")[::order]:
        (root / name).mkdir(parents=True)
    for name, mode in [("suid", 0o4755), ("d/secret", 0o600), ("new\nline", 0o644)][::order]:
        (root / name).write_text(name * 100)
        (root / name).chmod(mode)
    (root / "d" / os.fsdecode(b"\xff\xfe bytes")).write_text("odd")
    (root / "d" / ("x" * 255)).write_text("long")
    (root / "link").symlink_to("/out/of\nhere" + "y" * 200)
    os.link(root / "suid", root / "also suid")
    os.mkfifo(root / "fifo", 0o640)
    for name, device in [("null", os.makedev(1, 3)), ("zero", os.makedev(1, 5))][::order]:
        os.mknod(root / name, stat.S_IFCHR | 0o666, device)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    (root / "sticky").chmod(0o1777)
    add_attributes(root, order)
    set_times(root)
    return root


def add_attributes(root: Path, order: int) -> None:
    with open(root / "sparse", "wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"data")
    (root / "attributes").write_text("attributes")
    os.chown(root / "attributes", 1000, 3_000_000)
    for name, value in list(ATTRIBUTES.items())[::order]:
        os.setxattr(root / "attributes", name, value)
    os.setxattr(root / "d/secret", "system.posix_acl_access", ACL)
    os.setxattr(root / "d", "system.posix_acl_default", ACL)


def set_times(root: Path) -> None:
    """Give everything an old time, down to nanoseconds, and two things one after the epoch."""
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(OLD_NS, OLD_NS), follow_symlinks=False)
    os.utime(root / "new\nline", (EPOCH + 10, EPOCH + 10))
    os.utime(root / "attributes", (EPOCH + 10, EPOCH + 10))
    os.utime(root, ns=(OLD_NS, OLD_NS))


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is to be kept of each path; hard links have the first one's name."""
    first: dict[int, str] = {}
    return {name: _described(root / name, name, first) for name in _names(root)}


def _names(root: Path) -> Iterator[str]:
    yield "."
    yield from sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def _described(path: Path, name: str, first: dict[int, str]) -> tuple[object, ...]:
    found = path.lstat()
    names = os.listxattr(path, follow_symlinks=False)
    attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in sorted(names)}
    content: object = found.st_rdev
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(found.st_mode):
        content = path.read_bytes()
    same_as = first.setdefault(found.st_ino, name)
    owner = (found.st_uid, found.st_gid)
    return found.st_mode, *owner, found.st_mtime_ns, content, same_as, attributes
