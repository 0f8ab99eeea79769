"""What a base was made of when it was sealed: a record for each member, in the order of a walk.

    MODE UID GID LINKS SIZE MTIME CTIME DEVICE PATH NUL

Times are in nanoseconds. A directory's links, size and change time say nothing of it and are 0. The
survey looks at all of this anyway; content is for `verify`: reading it at once would take half as
long again as unpacking.
"""

import os
import stat
from collections.abc import Iterator

from containerdeploy.frozen import frozen

NAME = "manifest"
FIELDS = 8
PIECE_RECORDS = 1000
READ_BYTES = 1 << 16


@frozen
class Member:
    """A member as it was; `changed_ns` tells whether anybody has touched it since."""

    mode: int
    uid: int
    gid: int
    links: int
    size: int
    mtime_ns: int
    changed_ns: int
    device: int


class Writer:
    """Writes a manifest as a survey goes; `close` returns its SHA-256."""

    def __init__(self, path: str) -> None:
        import hashlib  # most runs unpack nothing, and all would wait for OpenSSL

        self._hash = hashlib.sha256()
        self._stream = open(path, "xb", buffering=0)
        self._records: list[str] = []

    def note(self, path: str, found: os.stat_result) -> None:
        own = f"{found.st_mode:o} {found.st_uid} {found.st_gid}"
        if stat.S_ISDIR(found.st_mode):
            rest = f"0 0 {found.st_mtime_ns} 0 0"
        else:
            rest = f"{found.st_nlink} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
            rest = f"{rest} {found.st_rdev}"
        self._records.append(f"{own} {rest} {path}\0")
        if len(self._records) == PIECE_RECORDS:
            self._write()

    def close(self) -> str:
        self._write()
        self._stream.close()
        return self._hash.hexdigest()

    def _write(self) -> None:
        piece = os.fsencode("".join(self._records))
        self._records.clear()
        self._hash.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[self._stream.write(rest) :]


def as_member(found: os.stat_result) -> Member:
    """Return what a manifest tells of a member."""
    is_directory = stat.S_ISDIR(found.st_mode)
    return Member(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        links=0 if is_directory else found.st_nlink,
        size=0 if is_directory else found.st_size,
        mtime_ns=found.st_mtime_ns,
        changed_ns=0 if is_directory else found.st_ctime_ns,
        device=found.st_rdev,
    )


def members(path: str) -> Iterator[tuple[str, Member]]:
    """Yield a manifest's members by path, the tree itself (`.`) first; raise ValueError."""
    for record in records(path):
        *words, name = record.split(b" ", FIELDS)
        mode, *numbers = words
        uid, gid, links, size, mtime_ns, changed_ns, device = map(int, numbers)
        yield (
            os.fsdecode(name),
            Member(
                mode=int(mode, 8),
                uid=uid,
                gid=gid,
                links=links,
                size=size,
                mtime_ns=mtime_ns,
                changed_ns=changed_ns,
                device=device,
            ),
        )


def records(path: str) -> Iterator[bytes]:
    """Yield what lies between NULs in a file."""
    with open(path, "rb") as stream:
        held = b""
        while piece := stream.read(READ_BYTES):
            *whole, held = (held + piece).split(b"\0")
            yield from whole
        if held:
            raise ValueError("it ends in the middle of a record")
