"""Puts a pax archive into one form, whatever file system and user database it was made with.

GNU tar writes extended attributes in the order in which the file system lists them, and ACLs with
the names of the machine it runs on. Here records are sorted and ACLs are numbers, so that one tree
gives the same bytes everywhere.
"""

import struct
from typing import IO, Protocol

BLOCK = 512
CHUNK_BYTES = 1 << 20
EXTENDED = b"x"
# Links, device nodes, directories and FIFOs: none has data, whatever the size field says.
WITHOUT_DATA = frozenset(b"123456")
ACL_ATTRIBUTES = {
    b"SCHILY.xattr.system.posix_acl_access": b"SCHILY.acl.access",
    b"SCHILY.xattr.system.posix_acl_default": b"SCHILY.acl.default",
}
# The kernel's layout, include/uapi/linux/posix_acl_xattr.h.
ACL_HEADER_BYTES = 4
ACL_ENTRY = struct.Struct("<HHI")
ACL_TAGS = {
    0x01: b"user::",
    0x02: b"user:%d:",
    0x04: b"group::",
    0x08: b"group:%d:",
    0x10: b"mask::",
    0x20: b"other::",
}


class Sink(Protocol):
    """What takes bytes, in order."""

    def write(self, data: bytes, /) -> object:
        """Take all of them."""


def settle(source: IO[bytes], target: Sink) -> None:
    """Copy a pax archive, its extended headers in their one form; EOFError when it is cut short."""
    real_size = None
    while header := source.read(BLOCK):
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        if header[156:157] == EXTENDED:
            records = _parse(_exactly(source, _padded(size))[:size])
            real_size = records.get(b"size")
            target.write(_extended_header(header, records))
            continue
        target.write(header)
        if header[156] not in WITHOUT_DATA:
            _copy(source, target, _padded(size if real_size is None else int(real_size)))
        real_size = None


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise EOFError("the archive ends within a member")
    return data


def _copy(source: IO[bytes], target: Sink, size: int) -> None:
    while size:
        chunk = _exactly(source, min(size, CHUNK_BYTES))
        target.write(chunk)
        size -= len(chunk)


def _parse(body: bytes) -> dict[bytes, bytes]:
    """Read records, each `LENGTH KEY=VALUE` and a newline, the length counting all of it."""
    records = {}
    while body:
        length = int(body.partition(b" ")[0])
        key, _, value = body[:length].partition(b" ")[2].partition(b"=")
        records[key] = value[:-1]
        body = body[length:]
    return records


def _extended_header(header: bytes, records: dict[bytes, bytes]) -> bytes:
    """Return the header and its records, sorted, ACLs also as text for those who want it."""
    for attribute, text in ACL_ATTRIBUTES.items():
        if attribute in records:
            records[text] = _acl_text(records[attribute])
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    unsigned = b"%b%011o\0%b%8s%b" % (header[:124], len(body), header[136:148], b"", header[156:])
    signed = b"%b%06o\0 %b" % (unsigned[:148], sum(unsigned), unsigned[156:])
    return signed + body.ljust(_padded(len(body)), b"\0")


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    return b"%d%b" % (len(rest) + len(str(length)), rest)


def _acl_text(packed: bytes) -> bytes:
    """Return an ACL as POSIX 1003.1e text, a line per entry, users and groups by number."""
    lines = []
    for tag, permissions, number in ACL_ENTRY.iter_unpack(packed[ACL_HEADER_BYTES:]):
        who = ACL_TAGS[tag]
        letters = bytes(
            letter if permissions & bit else ord("-")
            for letter, bit in zip(b"rwx", (4, 2, 1), strict=True)
        )
        lines.append((who % number if b"%" in who else who) + letters + b"\n")
    return b"".join(lines)
