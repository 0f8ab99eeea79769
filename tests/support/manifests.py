"""Trees as text: what lies where, whose it is, and what is in it; read, written and compared.

    directory 0755 0:0 etc
    file 0644 0:0 etc/hostname
      |baserock
    file 0640 0:42 etc/secret
      >no line end follows this
    link 0777 0:0 etc/mtab -> /proc/mounts

What is long or no text is told by its size and SHA-256 instead; a compressed cpio archive, which
may follow some text, by what is in it, behind colons.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

EPOCH = 1_450_000_000
_LONGEST = 3000
_GZIP = b"\x1f\x8b\x08"
_KINDS = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
_TYPES = {"directory": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a manifest; `content` is a file's, or where a link leads to."""

    kind: str
    mode: int
    uid: int
    gid: int
    path: str
    content: bytes = b""

    def lines(self) -> Iterator[str]:
        target = f" -> {os.fsdecode(self.content)}" if self.kind == "link" else ""
        yield f"{self.kind} {self.mode:04o} {self.uid}:{self.gid} {self.path}{target}"
        if self.kind == "file":
            yield from _told(self.content)


def text(entries: Iterable[Entry]) -> str:
    """Return the manifest of a tree, in order of path."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    return "".join(f"{line}\n" for entry in ordered for line in entry.lines())


def of_tar(path: Path) -> str:
    """Return the manifest of a tar file's tree."""
    with tarfile.open(path) as archive:
        return text(_member(archive, one) for one in archive.getmembers())


def of_directory(root: Path) -> str:
    """Return the manifest of a tree on disk."""
    return text(_found(path, str(path.relative_to(root))) for path in (root, *root.rglob("*")))


def of_content(content: bytes) -> str:
    """Return a single file's content as a manifest would show it."""
    return "".join(f"{line}\n" for line in _told(content))


def make_source(manifest: Path, target: Path) -> None:
    """Make the tar file of the tree that a manifest describes, the same bytes every time."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry in _read(manifest.read_text().splitlines()):
            info = tarfile.TarInfo(f"./{entry.path}" if entry.path != "." else ".")
            info.type, info.mode, info.mtime = _TYPES[entry.kind], entry.mode, EPOCH
            info.uid, info.gid = entry.uid, entry.gid
            data = b"" if entry.kind == "link" else entry.content
            info.linkname = os.fsdecode(entry.content) if entry.kind == "link" else ""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _told(content: bytes) -> Iterator[str]:
    if (at := content.find(_GZIP)) >= 0:
        yield from _told(content[:at])
        inside = text(_records(gzip.decompress(content[at:])))
        yield from (f"  :{line}" for line in inside.splitlines())
        return
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        decoded = "\0"
    if len(content) > _LONGEST or "\0" in decoded:
        yield f"  {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
        return
    *whole, last = decoded.split("\n")
    yield from (f"  |{line}" for line in whole)
    if last:
        yield f"  >{last}"


def _read(lines: Iterable[str]) -> Iterator[Entry]:
    head, content = "", ""
    for line in [*lines, ""]:
        if line.startswith("  "):
            content += line[3:] + ("\n" if line[2] == "|" else "")
            continue
        if head:
            yield _entry(head, content.encode())
        head, content = line, ""


def _entry(head: str, content: bytes) -> Entry:
    kind, mode, owner, rest = head.split(" ", 3)
    path, _, target = rest.partition(" -> ")
    uid, gid = map(int, owner.split(":"))
    data = target.encode() if kind == "link" else content
    return Entry(kind=kind, mode=int(mode, 8), uid=uid, gid=gid, path=path, content=data)


def _member(archive: tarfile.TarFile, one: tarfile.TarInfo) -> Entry:
    kind = next(kind for kind, type_ in _TYPES.items() if type_ == one.type)
    file = archive.extractfile(one) if one.isreg() else None
    content = file.read() if file else one.linkname.encode()
    path = one.name.removeprefix("./")
    return Entry(kind=kind, mode=one.mode, uid=one.uid, gid=one.gid, path=path, content=content)


def _found(path: Path, name: str) -> Entry:
    there = path.lstat()
    kind = _KINDS[stat.S_IFMT(there.st_mode)]
    content = {"file": path.read_bytes, "link": lambda: os.readlink(os.fsencode(path))}
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(there.st_mode),
        uid=there.st_uid,
        gid=there.st_gid,
        path=name,
        content=content[kind]() if kind in content else b"",
    )


def _records(data: bytes) -> Iterator[Entry]:
    at = 0
    while True:
        assert data[at : at + 6] == b"070701", f"no record at {at}"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        _, mode, uid, gid, _, _, size, _, _, _, _, length, _ = fields
        name = data[at + 110 : at + 110 + length - 1].decode()
        begin = -(-(at + 110 + length) // 4) * 4
        if name == "TRAILER!!!":
            return
        kind, content = _KINDS[stat.S_IFMT(mode)], data[begin : begin + size]
        mode = stat.S_IMODE(mode)
        yield Entry(kind=kind, mode=mode, uid=uid, gid=gid, path=name, content=content)
        at = -(-(begin + size) // 4) * 4
