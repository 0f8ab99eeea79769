"""Tar archives, byte by byte: a library would put right what is meant to be wrong.

https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

import bz2
import gzip
import lzma
from collections.abc import Iterable, Sequence

BLOCK = 512
EPOCH = 1_450_000_000
END = bytes(2 * BLOCK)
PLANTED = b"planted\n"
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)
FILE, HARD, LINK, CHARACTER, BLOCKS, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK, SPARSE = b"x", b"g", b"L", b"K", b"S"
ZST_MAGIC = b"\x28\xb5\x2f\xfd"
ZST_BLOCK = 128 << 10


def octal(value: int, width: int) -> bytes:
    """A number as tar has it: octal digits, or base 256 where these don't reach."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value % (1 << (8 * width - 1)) | 1 << (8 * width - 1)).to_bytes(width, "big")


def header(
    name: bytes,
    kind: bytes = FILE,
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    owner: int = 0,
    mtime: int = EPOCH,
    link: bytes = b"",
    magic: bytes = USTAR,
    device: tuple[int, int] = (0, 0),
    rest: bytes = b"",
) -> bytes:
    """One block that announces a member; `size` as bytes is put there as it is.

    `rest` fills the block from byte 345 on: the prefix of a ustar name, or what GNU keeps there.
    """
    given = size if isinstance(size, bytes) else octal(size, 12)
    fields = [name[:100].ljust(100, b"\0"), octal(mode, 8), octal(owner, 8), octal(owner, 8)]
    fields += [
        given.ljust(12, b"\0"),
        octal(mtime, 12),
        b" " * 8,
        kind,
        link[:100].ljust(100, b"\0"),
    ]
    fields += [magic, bytes(64), octal(device[0], 8), octal(device[1], 8), rest]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return sealed(block)


def sealed(block: bytes) -> bytes:
    """Give a header the sum that its bytes have."""
    blank = block[:148] + b" " * 8 + block[156:BLOCK]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def file(name: bytes, content: bytes = PLANTED, *, mode: int = 0o644, owner: int = 0) -> bytes:
    return header(name, size=len(content), mode=mode, owner=owner) + padded(content)


def directory(name: bytes, mode: int = 0o755) -> bytes:
    return header(name, DIRECTORY, mode=mode)


def link(name: bytes, target: bytes) -> bytes:
    if len(target) > 100:
        return long(LONG_LINK, target) + header(name, LINK, link=target, mode=0o777, magic=GNU)
    return header(name, LINK, link=target, mode=0o777)


def hard(name: bytes, target: bytes, *, mode: int = 0o644) -> bytes:
    return header(name, HARD, link=target, mode=mode)


def node(name: bytes, kind: bytes, major: int, minor: int) -> bytes:
    return header(name, kind, mode=0o666, device=(major, minor))


def long(kind: bytes, text: bytes, *, size: int | bytes | None = None) -> bytes:
    """GNU's way to say a name that is too long for its field; it goes before the member."""
    content = text + b"\0"
    given = len(content) if size is None else size
    return header(b"././@LongLink", kind, size=given, magic=GNU) + padded(content)


def record(key: bytes, value: bytes) -> bytes:
    """One line of a PAX header; it begins with its own length."""
    body = b" %s=%s\n" % (key, value)
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d%s" % (length, body)


def pax(*records: tuple[bytes, bytes], kind: bytes = PAX) -> bytes:
    return pax_text(b"".join(record(key, value) for key, value in records), kind=kind)


def pax_text(text: bytes, *, kind: bytes = PAX, size: int | bytes | None = None) -> bytes:
    given = len(text) if size is None else size
    return header(b"./PaxHeaders/x", kind, size=given) + padded(text)


def archive(*members: bytes) -> bytes:
    return b"".join(members) + END


def gz(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)


def xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


def bz(data: bytes) -> bytes:
    return bz2.compress(data)


def zst(pieces: Iterable[bytes | tuple[int, int]]) -> bytes:
    """A frame by hand (RFC 8878): bytes as they are, or (byte, how often)."""
    blocks: list[tuple[int, int, bytes]] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            cuts = range(0, len(piece), ZST_BLOCK)
            chunks = [piece[first : first + ZST_BLOCK] for first in cuts]
            blocks += [(0, len(chunk), chunk) for chunk in chunks]
        else:
            blocks += _repeated(*piece)
    return ZST_MAGIC + b"\x00\x38" + b"".join(_zst_blocks(blocks))


def _repeated(byte: int, count: int) -> Sequence[tuple[int, int, bytes]]:
    whole, rest = divmod(count, ZST_BLOCK)
    sizes = [ZST_BLOCK] * whole + [rest] * bool(rest)
    return [(1, size, bytes([byte])) for size in sizes]


def _zst_blocks(blocks: Sequence[tuple[int, int, bytes]]) -> Iterable[bytes]:
    for number, (kind, size, content) in enumerate(blocks, 1):
        is_last = number == len(blocks)
        yield (size << 3 | kind << 1 | is_last).to_bytes(3, "little") + content
