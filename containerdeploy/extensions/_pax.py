"""Puts a pax archive into one form, whatever file system and user database it was made with.

GNU tar writes extended attributes in the order in which the file system lists them, and ACLs with
the names of the machine it runs on. Here records are sorted and ACLs are numbers, so that one tree
gives the same bytes everywhere.
"""

import struct

TYPE_CHECKING = False  # typing takes as long to load as all else here together
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Source(Protocol):
        """Where bytes come from."""

        def readinto(self, buffer: memoryview, /) -> int | None:
            """Fill the start of the buffer; return how many bytes, 0 at the end."""

    class Sink(Protocol):
        """What takes bytes, in order."""

        def write(self, data: bytes | memoryview, /) -> object:
            """Take all of them before the memory is used again."""

    Restore = Callable[[dict[bytes, bytes], bytes], bytes]


BLOCK = 512
RECORD = 20 * BLOCK
CHUNK_BYTES = 1 << 20
EXTENDED = b"x"
CUT_SHORT = "the archive ends within a member"
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


def settle(source: "Source", target: "Sink", restore: "Restore | None" = None) -> None:
    """Copy a pax archive, its extended headers in their one form; EOFError when it is cut short.

    All else is passed on as it was read, in large pieces, but for what `restore` makes of a member:
    it gets its records and header and gives what they shall be. One that has no data afterwards
    loses it. The padding at the end is tar's usual one, whatever the size of the records that the
    archive comes in.
    """
    window = Window(source, target)
    while any(header := window.peek(BLOCK)):
        extended, size = b"", number(header[124:136])
        records: dict[bytes, bytes] = {}
        if header[156:157] == EXTENDED:
            extended, before = header, BLOCK + padded(size)
            block = window.peek(before + BLOCK)
            records = dict(parse(block[BLOCK : BLOCK + size]))
            header, size = block[before:], number(block[before:][124:136])
        had_data, size = header[156] not in WITHOUT_DATA, int(records.get(b"size", size))
        new = restore(records, header) if restore else header
        if extended or new != header:
            head = _extended_header(extended, records) if records else b""
            window.replace((before if extended else 0) + BLOCK, head + new)
        else:
            window.keep(BLOCK)
        if had_data:
            keep = new[156] not in WITHOUT_DATA
            window.keep(padded(size)) if keep else window.drop(padded(size))
    window.end(has_end=bool(header))


class Window:
    """A part of the stream in memory: what is before `_at` is seen, and what is kept of it goes on
    to the target from `_start`."""

    def __init__(self, source: "Source", target: "Sink") -> None:
        self._source = source
        self._target = target
        self._buffer = memoryview(bytearray(CHUNK_BYTES))
        self._start = self._at = self._end = 0
        self._passed = 0

    def peek(self, size: int) -> bytes:
        """Return the next bytes without moving on; none at the stream's end."""
        while self._end - self._at < size:
            if self._read(size):
                continue
            if self._at == self._end:
                return b""
            raise EOFError(CUT_SHORT)
        return bytes(self._buffer[self._at : self._at + size])

    def keep(self, size: int) -> None:
        """Let the next bytes through as they are."""
        while size > self._end - self._at:
            size -= self._end - self._at
            self._at = self._end
            if not self._read(1):
                raise EOFError(CUT_SHORT)
        self._at += size

    def replace(self, size: int, data: bytes) -> None:
        """Put `data` in the place of the next bytes, which have been peeked at."""
        self._flush()
        self._write(data)
        self._at += size
        self._start = self._at

    def drop(self, size: int) -> None:
        """Leave out the next bytes."""
        while size > 0:
            piece = min(size, CHUNK_BYTES)
            if not self.peek(piece):
                raise EOFError(CUT_SHORT)
            self.replace(piece, b"")
            size -= piece

    def pass_on_the_rest(self) -> None:
        """Let through all that is left, as it is."""
        self._at = self._end
        while self._read(1):
            self._at = self._end
        self._flush()

    def end(self, *, has_end: bool) -> None:
        """Pass on what is left; where the archive has an end of zeros, write one of our own."""
        self._flush()
        if has_end:
            self._write(bytes(-(self._passed + 2 * BLOCK) % RECORD + 2 * BLOCK))
        while self._source.readinto(self._buffer):
            pass

    def _read(self, wanted: int) -> bool:
        """Make room for `wanted` bytes from `_at` on and read some; False at the end."""
        self._flush()
        rest = self._buffer[self._at : self._end]
        into = self._buffer
        if wanted > len(into):
            into = memoryview(bytearray(wanted))
        into[: len(rest)] = bytes(rest)
        self._buffer, self._start, self._at, self._end = into, 0, 0, len(rest)
        size = self._source.readinto(into[self._end :]) or 0
        self._end += size
        return size > 0

    def _flush(self) -> None:
        if self._at > self._start:
            self._write(self._buffer[self._start : self._at])
        self._start = self._at

    def _write(self, data: bytes | memoryview) -> None:
        self._target.write(data)
        self._passed += len(data)


def padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def number(field: bytes) -> int:
    """Read a header's number: octal, or in GNU's form for what octal can't hold; ValueError."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    return int(field.strip(b" \0") or b"0", 8)


def parse(body: bytes) -> "list[tuple[bytes, bytes]]":
    """Read records, each `LENGTH KEY=VALUE` and a newline, the length counting all of it.

    Raises ValueError for what is none.
    """
    records, at = [], 0
    while at < len(body):
        space = body.index(b" ", at)
        end = at + int(body[at:space])
        key, equals, value = body[space + 1 : end].partition(b"=")
        if not space < end <= len(body) or not equals or value[-1:] != b"\n":
            raise ValueError("not a record of an extended header")
        records.append((key, value[:-1]))
        at = end
    return records


def signed(header: bytes) -> bytes:
    """Return a header with the checksum that belongs to it."""
    blank = b"%b%8s%b" % (header[:148], b"", header[156:])
    return b"%b%06o\0 %b" % (header[:148], sum(blank), header[156:])


def _extended_header(header: bytes, records: dict[bytes, bytes]) -> bytes:
    """Return the header and its records, sorted, ACLs also as text for those who want it."""
    for attribute, text in ACL_ATTRIBUTES.items():
        if attribute in records:
            records[text] = _acl_text(records[attribute])
    body = b"".join(record(key, records[key]) for key in sorted(records))
    return signed(b"%b%011o\0%b" % (header[:124], len(body), header[136:])) + body.ljust(
        padded(len(body)), b"\0"
    )


def record(key: bytes, value: bytes) -> bytes:
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
