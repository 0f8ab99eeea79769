#!/usr/bin/env python3
"""Keeps what an ordinary user's disk can't hold of an archive: device nodes and foreign owners.

On the way into tar a device node becomes an empty file, and a foreign owner root; what they are is
kept in an attribute of the file, so that it stays with it whatever a step does to the file. On the
way out of tar the attributes turn into the members that they stand for, as root's tar has them:

    user.containerdeploy.node     `c 1 3`, `b 8 0`
    user.containerdeploy.owner    `1000:33`, as long as the file is root's

Symbolic links and FIFOs hold no attributes of users, so their owners are kept by path and target.
Owners above 65,535 are nobody, as extensions see them in strict mode. An
extension may set these attributes as well: a device counts only if an archive of the same job has
one of these numbers, so all that can be had by it is another name for a device, as by a hard link;
and an owner is what it could set as root.

Run as a program it stands between decompressor and tar, and stops marking, but goes on passing on,
at the first thing that it does not understand: it is tar that judges archives.

    _marks.py IDS KEPT [DECOMPRESSOR] -d…

IDS are those that are mapped, `0+1,1+65536`; KEPT is a directory for the files `devices` and
`links`.
"""

import os
import posixpath
import signal
import sys

TYPE_CHECKING = False  # typing takes longer to load than all else here
if TYPE_CHECKING:
    from containerdeploy.extensions._pax import (
        BLOCK,
        EXTENDED,
        WITHOUT_DATA,
        Sink,
        Source,
        Window,
        number,
        padded,
        parse,
        record,
        signed,
    )
    from containerdeploy.extensions._tar import Whole
else:
    from _pax import BLOCK, EXTENDED, WITHOUT_DATA, Window, number, padded, parse, record, signed
    from _tar import Whole

PREFIX = "user.containerdeploy."
NODE, OWNER = f"{PREFIX}node", f"{PREFIX}owner"
XATTR = b"SCHILY.xattr."
NODE_RECORD, OWNER_RECORD = XATTR + NODE.encode(), XATTR + OWNER.encode()
MOST_RECORDS_BYTES = 1 << 20
LINK, SYMLINK, CHARACTER, BLOCKS, FIFO = b"1", b"2", b"3", b"4", b"6"
KINDS = {CHARACTER: b"c", BLOCKS: b"b"}
TYPES = {kind: member for member, kind in KINDS.items()}
BEFORE_A_MEMBER = (b"g", b"L", b"K", EXTENDED)
LARGEST_NUMBER = 0o7777777  # what a header's field holds
LONG_NAMES = {b"L": b"path", b"K": b"linkpath"}
WITHOUT_ATTRIBUTES = (SYMLINK, FIFO)
# What every other mode shows of owners beyond what extensions have.
COUNT, NOBODY = 65_536, 65_534
GNU_SPARSE = b"S"


class Marker:
    """Marks members on their way into tar; `devices` and `links` are for what comes out again."""

    def __init__(self, mapped: str) -> None:
        words = [word.split("+") for word in mapped.split(",")]
        self._mapped = [range(int(first), int(first) + int(count)) for first, count in words]
        self.devices: set[bytes] = set()
        self.links: list[bytes] = []
        self._long: dict[bytes, bytes] = {}

    def run(self, source: "Source", target: "Sink", kept: str) -> None:
        """Pass an archive on, marked as far as it is understood; tell of that below `kept`."""
        window = Window(source, target)
        try:
            while any(header := window.peek(BLOCK)):
                if number(header[148:156]) != number(signed(header)[148:156]):
                    break
                self._pass_on(window, header)
        except (EOFError, ValueError):
            pass
        for name, words in (("devices", sorted(self.devices)), ("links", self.links)):
            with open(f"{kept}/{name}", "wb") as stream:  # tar may end us once it has read its end
                stream.write(b"".join(word + b"\0" for word in words))
        window.pass_on_the_rest()

    def _pass_on(self, window: Window, header: bytes) -> None:
        size, before = number(header[124:136]), 0
        records: list[tuple[bytes, bytes]] = []
        if header[156:157] == EXTENDED:
            if size > MOST_RECORDS_BYTES:
                raise ValueError("too large to be looked at")
            before = BLOCK + padded(size)
            block = window.peek(before + BLOCK)
            records = parse(block[BLOCK : BLOCK + size])
            header = block[before:]
        if header[156:157] in BEFORE_A_MEMBER:
            window.keep(before)
            self._keep_name(window, header)
            return
        new_records, new = self._mark(records, header)
        self._long.clear()
        if new_records != records or new != header:
            window.replace(before + BLOCK, extended(new_records) + new)
        else:
            window.keep(before + BLOCK)
        if header[156:157] == GNU_SPARSE:
            _keep_map(window, header)
        if header[156] not in WITHOUT_DATA:
            size = int(dict(records).get(b"size", number(header[124:136])))
            if size < 0:
                raise ValueError("a negative size")
            window.keep(padded(size))

    def _keep_name(self, window: Window, header: bytes) -> None:
        """Let what precedes a member through; a long name is the next member's."""
        size = padded(number(header[124:136]))
        if header[156:157] in LONG_NAMES and size <= MOST_RECORDS_BYTES:
            name = window.peek(BLOCK + size)[BLOCK:].split(b"\0")[0]
            self._long[LONG_NAMES[header[156:157]]] = name
        window.keep(BLOCK + size)

    def _mark(
        self, records: "list[tuple[bytes, bytes]]", header: bytes
    ) -> "tuple[list[tuple[bytes, bytes]], bytes]":
        kind, known = header[156:157], {**self._long, **dict(records)}
        own = [one for one in records if not one[0].startswith(XATTR + PREFIX.encode())]
        uid = int(known.get(b"uid", number(header[108:116])))
        gid = int(known.get(b"gid", number(header[116:124])))
        is_foreign = not (self._is_mapped(uid) and self._is_mapped(gid))
        device = (number(header[329:337]), number(header[337:345]))
        is_node = kind in (CHARACTER, BLOCKS) and max(device) <= LARGEST_NUMBER
        if is_node and device != (0, 0):  # tar makes that one, and the agent refuses it
            node = b"%b %d %d" % (KINDS[kind], *device)
            self.devices.add(node)
            own.append((NODE_RECORD, node))
            header = _without_data(header)
        if not is_foreign:
            return own, header
        owner = b"%d:%d" % tuple(one if one < COUNT else NOBODY for one in (uid, gid))
        if kind in WITHOUT_ATTRIBUTES:
            self.links += (member_name(known, header), link_name(known, header), owner)
        elif kind != LINK:
            own.append((OWNER_RECORD, owner))
        own = [one for one in own if one[0] not in (b"uid", b"gid")]
        return own, owned(header, 0, 0)

    def _is_mapped(self, number: int) -> bool:
        return any(number in known for known in self._mapped)


class Kept:
    """What was kept, to be put into an archive on its way out of tar."""

    def __init__(self, place: str) -> None:
        with open(f"{place}/devices", "rb") as stream:
            self._devices = frozenset(stream.read().split(b"\0")[:-1])
        with open(f"{place}/links", "rb") as stream:
            words = stream.read().split(b"\0")[:-1]
        links = zip(words[::3], words[1::3], words[2::3], strict=True)
        self._links = {(path, target): owner for path, target, owner in links}
        self._named: dict[bytes, tuple[bytes, bytes]] = {}  # what hard links may lead to

    def is_node(self, path: str) -> bool:
        """Say whether a file stands for a device node."""
        try:
            return os.getxattr(path, NODE, follow_symlinks=False) in self._devices
        except OSError:
            return False

    def is_foreign(self, path: str) -> bool:
        """Say whether a file's owner is only marked."""
        try:
            return bool(os.getxattr(path, OWNER, follow_symlinks=False))
        except OSError:
            return False

    def restore(self, records: "dict[bytes, bytes]", header: bytes) -> bytes:
        """Return a member's header as root's tar has it; the marks leave the records."""
        node, owner = records.pop(NODE_RECORD, b""), records.pop(OWNER_RECORD, b"")
        kind = header[156:157]
        if kind == LINK:
            node, owner = self._named.get(link_name(records, header), (b"", b""))
        elif kind in WITHOUT_ATTRIBUTES:
            named = (member_name(records, header), link_name(records, header))
            owner = self._links.get(named, b"")
        elif node or owner:
            self._named[member_name(records, header)] = node, owner
        if node in self._devices and (kind == LINK or header[156] not in WITHOUT_DATA):
            header = as_node(header, node)
            records.pop(b"size", None)
            records.pop(b"linkpath", None)
        if owner and number(header[108:116]) == number(header[116:124]) == 0:
            uid, _, gid = owner.partition(b":")
            if all(word.isdigit() and int(word) < COUNT for word in (uid, gid)):
                header = owned(header, int(uid), int(gid))
        return signed(header)


def owned(header: bytes, uid: int, gid: int) -> bytes:
    """Return a header with another owner."""
    return signed(b"%b%07o\0%07o\0%b" % (header[:108], uid, gid, header[124:]))


def as_node(header: bytes, node: bytes) -> bytes:
    """Return a file's header as that of a node, which has no data; tar knows no links to nodes."""
    kind, major, minor = node.split()
    header = (
        header[:124] + b"%011o\0" % 0 + header[136:156] + TYPES[kind] + bytes(100) + header[257:]
    )
    return signed(header[:329] + b"%07o\0%07o\0" % (int(major), int(minor)) + header[345:])


def extended(records: "list[tuple[bytes, bytes]]") -> bytes:
    """Return an extended header that holds these records; nothing for none."""
    if not records:
        return b""
    body = b"".join(record(key, value) for key, value in records)
    fields = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        b"marks".ljust(100, b"\0"),
        0o644,
        0,
        0,
        len(body),
        0,
    )
    header = fields.ljust(156, b" ") + EXTENDED + bytes(100) + b"ustar\00000"
    return signed(header.ljust(BLOCK, b"\0")) + body.ljust(padded(len(body)), b"\0")


def member_name(records: "dict[bytes, bytes]", header: bytes) -> bytes:
    """Return where a member goes, in one form whatever the archive's is."""
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    if prefix and header[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return posixpath.normpath(b"./" + records.get(b"path", name).lstrip(b"/"))


def link_name(records: "dict[bytes, bytes]", header: bytes) -> bytes:
    """Return what a link leads to; a hard link in the form of a member's name."""
    name = records.get(b"linkpath", header[157:257].split(b"\0")[0])
    return name if header[156:157] == SYMLINK else posixpath.normpath(b"./" + name.lstrip(b"/"))


def _without_data(header: bytes) -> bytes:
    blank = b"%07o\0%07o\0" % (0, 0)
    header = header[:124] + b"%011o\0" % 0 + header[136:156] + b"0" + header[157:]
    return signed(header[:329] + blank + header[345:] if header[257:262] == b"ustar" else header)


def _keep_map(window: Window, header: bytes) -> None:
    """Let through the blocks that go on with an old sparse member's map."""
    more = header[482:483].strip(b"\0")
    while more:
        more = window.peek(BLOCK)[504:505].strip(b"\0")
        window.keep(BLOCK)  # EOFError where there is none


def main(mapped: str, kept: str, decompressor: "list[str]") -> int:
    """Mark what a decompressor puts out, or what comes in; return its exit code."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # tar reads no further than an archive's end
    process, source = 0, 0
    if decompressor[0] != "-d":
        source, write = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, write, 1)]
        process = os.posix_spawn(decompressor[0], decompressor, os.environ, file_actions=actions)
        os.close(write)
    marker = Marker(mapped)
    marker.run(os.fdopen(source, "rb", buffering=0), Whole(os.fdopen(1, "wb", buffering=0)), kept)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) if process else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
