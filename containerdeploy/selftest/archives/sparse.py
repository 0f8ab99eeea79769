"""Files with holes: maps that overlap, lie, never end, or cost nothing to say and much to keep.

https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
"""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile

TEN_TERABYTES = 10 << 40


def old(name: bytes, real: int, pieces: list[tuple[int, int]], content: bytes = b"") -> bytes:
    """A member in the oldest of the formats; at most four pieces lie in its header."""
    rows = b"".join(raw.octal(at, 12) + raw.octal(size, 12) for at, size in pieces[:4])
    more = [pieces[first : first + 21] for first in range(4, len(pieces), 21)]
    rest = bytes(41) + rows.ljust(96, b"\0") + bytes([bool(more)]) + raw.octal(real, 12)
    head = raw.header(name, raw.SPARSE, size=len(content), magic=raw.GNU, rest=rest)
    blocks = []
    for number, part in enumerate(more, 1):
        rows = b"".join(raw.octal(at, 12) + raw.octal(size, 12) for at, size in part)
        blocks.append((rows.ljust(504, b"\0") + bytes([number < len(more)])).ljust(512, b"\0"))
    return head + b"".join(blocks) + raw.padded(content)


def newest(name: bytes, real: int, text: bytes, content: bytes = b"") -> bytes:
    """A member in PAX format 1.0, whose map stands before its content."""
    records = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
    records += [(b"GNU.sparse.name", name), (b"GNU.sparse.realsize", b"%d" % real)]
    body = raw.padded(text) + content
    return raw.pax(*records) + raw.header(b"x", size=len(body)) + raw.padded(body)


def numbers(*pieces: tuple[int, int]) -> bytes:
    lines = [b"%d" % len(pieces), *(b"%d\n%d" % piece for piece in pieces)]
    return b"\n".join(lines) + b"\n"


def old_overlap() -> bytes:
    """A map whose pieces lie over each other."""
    pieces = [(0, 512), (0, 512), (256, 512), (0, 0)]
    return raw.archive(old(b"f", 1024, pieces, b"x" * 1536), raw.file(b"after"))


def old_beyond_the_end() -> bytes:
    """A map that goes on behind the file's end."""
    pieces = [(1 << 40, 512), (0, 0)]
    return raw.archive(old(b"f", 512, pieces, b"x" * 512), raw.file(b"after"))


def old_more_than_there_is() -> bytes:
    """A map of more content than the member has."""
    pieces = [(0, 1 << 20), (1 << 30, 1 << 20)]
    return raw.archive(old(b"f", 1 << 31, pieces, b"x" * 512), raw.file(b"after"))


def old_negative() -> bytes:
    """A map with a place before the file's beginning, and a size below nothing."""
    pieces = [(-512, 512), (0, -512)]
    return raw.archive(old(b"f", 1024, pieces, b"x" * 512), raw.file(b"after"))


def old_endless() -> bytes:
    """A map that says of each of a thousand blocks that it goes on."""
    pieces = [(n * 4096, 0) for n in range(5000)]
    return raw.archive(old(b"f", 1 << 30, pieces), raw.file(b"after"))


def pax_00_lies() -> bytes:
    """A map in records (0.0) with more pieces than it says, out of order."""
    records = [(b"GNU.sparse.size", b"4096"), (b"GNU.sparse.numblocks", b"1")]
    pieces = [(b"GNU.sparse.offset", b"2048"), (b"GNU.sparse.numbytes", b"512")] * 3
    member = raw.header(b"f", size=1536) + b"x" * 1536
    return raw.archive(raw.pax(*records, *pieces) + member, raw.file(b"after"))


def pax_01_lies() -> bytes:
    """A map in one record (0.1) that is odd, negative and no number."""
    maps = [b"0,512,1024", b"-512,512", b"0,x", b"9" * 30 + b",1", b"", b","]
    made = []
    for number, text in enumerate(maps):
        records = [(b"GNU.sparse.size", b"4096"), (b"GNU.sparse.numblocks", b"2")]
        records += [(b"GNU.sparse.name", b"f%d" % number), (b"GNU.sparse.map", text)]
        made.append(raw.pax(*records) + raw.header(b"x", size=512) + b"x" * 512)
    return raw.archive(*made, raw.file(b"after"))


def pax_10_lies() -> bytes:
    """A map before the content (1.0) that is longer than the member."""
    return raw.archive(newest(b"f", 4096, b"1000000\n0\n1\n"), raw.file(b"after"))


def pax_10_endless() -> bytes:
    """A map before the content that is no number and has no end."""
    return raw.archive(newest(b"f", 4096, b"1" * 4096), raw.file(b"after"))


def pax_10_overlap() -> bytes:
    """A map before the content whose pieces lie over each other."""
    text = numbers((0, 512), (100, 512), (0, 512))
    return raw.archive(newest(b"f", 1024, text, b"x" * 1536), raw.file(b"after"))


def sparse_name_leads_out() -> bytes:
    """A file with holes whose own record of its name leads out."""
    text = numbers((0, len(raw.PLANTED)))
    made = newest(b"../../../../outside/planted", 8, text, raw.PLANTED)
    return raw.archive(made, raw.file(b"after"))


def ten_terabytes_of_nothing() -> bytes:
    """A hole of ten terabytes: it takes up nothing, and is kept."""
    return raw.archive(newest(b"hole", TEN_TERABYTES, numbers((TEN_TERABYTES, 0))))


def too_large_a_hole() -> bytes:
    """A hole that no file system holds."""
    return raw.archive(newest(b"hole", 1 << 62, numbers((1 << 62, 0))), raw.file(b"after"))


def splinters() -> bytes:
    """A byte in every block of a disk, and nothing else."""
    count = 20_000
    text = numbers(*((n * 4096, 1) for n in range(count)), (count * 4096, 0))
    return raw.gz(raw.archive(newest(b"splinters", count * 4096, text, raw.padded(b"x") * count)))


_SAME = "every unpacker fails there or makes what the archive says"
ARCHIVES = (
    hostile(old_overlap, None, _SAME),
    hostile(old_beyond_the_end, None, _SAME),
    hostile(old_more_than_there_is, None, _SAME),
    hostile(old_negative, None, _SAME),
    hostile(old_endless, None, _SAME),
    hostile(pax_00_lies, None, _SAME),
    hostile(pax_01_lies, None, _SAME),
    hostile(pax_10_lies, None, _SAME),
    hostile(pax_10_endless, None, _SAME),
    hostile(pax_10_overlap, None, _SAME),
    hostile(sparse_name_leads_out, "escapes"),
    hostile(ten_terabytes_of_nothing, None, "a hole takes up nothing"),
    hostile(too_large_a_hole, None, "the kernel makes no such file"),
    hostile(splinters, "fills", compression="gz", naive="tar", refused="'splinters'"),
)
