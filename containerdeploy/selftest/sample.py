"""The small system that is attacked: a tree of a few files, made without anything from outside."""

import io
import tarfile
from pathlib import Path

MTIME = 1_735_689_600
DIRECTORIES = "dev etc home opt proc root run sys tmp usr usr/bin var var/lib".split()
FILES = {
    "etc/hostname": (0o644, b"sample\n"),
    "etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh\n"),
    "etc/shadow": (0o600, b"root:*:1::::::\n"),
    "usr/bin/tool": (0o4755, b"#!/bin/sh\n"),
}


def make(path: Path) -> Path:
    """Write the tree as a tar archive, the same bytes every time; return its path."""
    with tarfile.open(path, "w") as archive:
        for name in DIRECTORIES:
            member = _member(name, 0o755)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
        for name, (mode, content) in FILES.items():
            member = _member(name, mode)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _member(name: str, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"./{name}")
    member.mode, member.mtime = mode, MTIME
    return member
