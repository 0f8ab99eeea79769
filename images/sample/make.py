"""Makes the sample root file system for demo and tests: small, with one of every oddity.

Owners, set-id bits, hard links and extended attributes are written straight into the tar, so nobody
needs to be root. The same busybox gives the same bytes.

    python images/sample/make.py TARGET.tar.gz
"""

import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MTIME = 1735689600
STATIC = ("/bin/busybox", "/usr/bin/busybox")
LINKED_HARD = ("sh", "ash", "cat", "ls", "cp", "mv")
LINKED_SOFT = (
    "awk chgrp chmod chown cut date dd df du echo env false find grep gzip head hostname id kill "
    "ln md5sum mkdir mknod more mount ps pwd readlink rm rmdir sed sha256sum sleep sort stat sync "
    "tail tar touch tr true umount uname uniq vi wc which xargs"
).split()
DIRECTORIES = (
    "bin dev etc etc/init.d etc/network etc/systemd etc/systemd/network home mnt opt proc run sbin "
    "sys usr usr/bin usr/lib usr/sbin usr/share usr/share/doc usr/share/zoneinfo var var/lib "
    "var/lib/empty-on-purpose var/log"
).split()

TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n",
    "etc/group": "root:x:0:\nshadow:x:42:\nwww-data:x:33:\n",
    "etc/hostname": "sample\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/fstab": "proc /proc proc defaults 0 0\n",
    "etc/inittab": "::sysinit:/etc/init.d/rcS\n::respawn:/bin/sh\n",
    "etc/os-release": 'NAME="Sample"\nID=sample\nVERSION_ID=1\n',
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "etc/systemd/network/10-dhcp.network": "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n",
}
WITHOUT_BUSYBOX = b"#!/bin/false\n"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One member of the tar; regular unless `kind` says otherwise."""

    path: str
    mode: int = 0o644
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    owner: tuple[int, int] = (0, 0)
    xattrs: dict[str, str] = field(default_factory=dict)


def nodes(busybox: bytes) -> Iterator[Node]:
    """List the tree's members, in no order."""
    yield Node(path=".", mode=0o755, kind=tarfile.DIRTYPE)
    for path in DIRECTORIES:
        yield Node(path=path, mode=0o755, kind=tarfile.DIRTYPE)
    yield Node(path="root", mode=0o700, kind=tarfile.DIRTYPE)
    yield Node(path="tmp", mode=0o1777, kind=tarfile.DIRTYPE)
    yield Node(path="var/www", mode=0o2775, kind=tarfile.DIRTYPE, owner=(33, 33))
    for path, text in TEXTS.items():
        yield Node(path=path, content=text.encode())
    yield from _programs(busybox)
    yield from _oddities()


def _programs(busybox: bytes) -> Iterator[Node]:
    yield Node(path="bin/busybox", mode=0o755, content=busybox)
    yield Node(path="bin/bbsuid", mode=0o4711, content=busybox)
    yield Node(path="bin/su", mode=0o777, kind=tarfile.SYMTYPE, target="bbsuid")
    for name in LINKED_HARD:
        yield Node(path=f"bin/{name}", mode=0o755, kind=tarfile.LNKTYPE, target="bin/busybox")
    for name in LINKED_SOFT:
        yield Node(path=f"bin/{name}", mode=0o777, kind=tarfile.SYMTYPE, target="busybox")
    yield Node(path="sbin/init", mode=0o777, kind=tarfile.SYMTYPE, target="../bin/busybox")


def _oddities() -> Iterator[Node]:
    yield Node(path="etc/shadow", mode=0o640, content=b"root:*:20000::::::\n", owner=(0, 42))
    yield Node(path="etc/init.d/rcS", mode=0o755, content=b"#!/bin/sh\nhostname -F /etc/hostname\n")
    yield Node(path="etc/mtab", mode=0o777, kind=tarfile.SYMTYPE, target="/proc/self/mounts")
    yield Node(path="run/initctl", mode=0o600, kind=tarfile.FIFOTYPE)
    yield Node(path="usr/share/doc/na\u00efve name", content=b"a name with a space and an accent\n")
    origin = {"user.origin": "containerdeploy sample"}
    yield Node(path="usr/share/doc/README", content=b"A sample system.\n", xattrs=origin)
    for number in range(100):
        path = f"usr/share/zoneinfo/zone-{number:02}"
        yield Node(path=path, content=f"offset {number}\n".encode())


def write(target: Path, busybox: bytes) -> None:
    """Write the tree as a gzip-compressed tar, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    with (
        unfinished.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for node in sorted(nodes(busybox), key=_place):
            archive.addfile(_member(node), io.BytesIO(node.content))
    unfinished.replace(target)


def _place(node: Node) -> tuple[str, ...]:
    """Sort as a walk would, so that a directory is done when the next begins; hard links last."""
    *parents, name = node.path.lstrip(".").split("/")
    return (*parents, f"~{name}" if node.kind == tarfile.LNKTYPE else name)


def _member(node: Node) -> tarfile.TarInfo:
    member = tarfile.TarInfo(node.path if node.path == "." else f"./{node.path}")
    member.type, member.mode, member.mtime = node.kind, node.mode, MTIME
    member.uid, member.gid = node.owner
    member.size = len(node.content)
    is_hard_link = node.kind == tarfile.LNKTYPE
    member.linkname = f"./{node.target}" if is_hard_link else node.target
    member.pax_headers = {f"SCHILY.xattr.{name}": text for name, text in node.xattrs.items()}
    return member


def find_busybox() -> bytes | None:
    """Read a static busybox, this machine's own or the one in its distribution's package."""
    for path in map(Path, STATIC):
        if path.is_file() and b"/ld-linux" not in (program := path.read_bytes()):
            return program
    with tempfile.TemporaryDirectory() as directory:
        return _from_package(Path(directory))


def _from_package(directory: Path) -> bytes | None:
    unpack = "apt-get --quiet=2 download busybox-static && dpkg-deb --extract busybox*.deb ."
    argv = ["sh", "-c", unpack]
    ran = subprocess.run(argv, cwd=directory, capture_output=True, timeout=120, check=False)
    found = [path for path in directory.rglob("busybox") if path.is_file() and not ran.returncode]
    return found[0].read_bytes() if found else None


def main() -> int:
    """Run as a command."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: make.py TARGET.tar.gz\n")
        return 2
    busybox = find_busybox()
    if busybox is None:
        sys.stderr.write("no busybox-static here or in the package lists: the sample won't boot\n")
    write(Path(sys.argv[1]), busybox or WITHOUT_BUSYBOX)
    return 0


if __name__ == "__main__":
    sys.exit(main())
