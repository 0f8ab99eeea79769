"""Archives that are small and become large; they are made of repetition, so they are made fast."""

from collections.abc import Callable

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile

CHUNK = 8 << 20
LARGE_CHUNK = 45 << 20
TEN_GIGABYTES = 10_000_000_000


def _zeros(compress: Callable[[bytes], bytes], chunk: int = CHUNK) -> bytes:
    """Ten gigabytes of zeros, as streams one after the other."""
    head = compress(raw.header(b"etc/zeros", size=TEN_GIGABYTES))
    whole = compress(bytes(chunk))
    return head + whole * (TEN_GIGABYTES // chunk + 1)


def zeros_gz() -> bytes:
    """Ten gigabytes of zeros in gzip."""
    return _zeros(raw.gz)


def zeros_xz() -> bytes:
    """Ten gigabytes of zeros in xz."""
    return _zeros(raw.xz)


def zeros_bz2() -> bytes:
    """Ten gigabytes of zeros in twenty kilobytes of bzip2."""
    return _zeros(raw.bz, LARGE_CHUNK)


def zeros_zst() -> bytes:
    """Ten gigabytes of zeros in zstd."""
    return raw.zst([raw.header(b"etc/zeros", size=TEN_GIGABYTES), (0, TEN_GIGABYTES + 4096)])


def million_members() -> bytes:
    """A million empty members, of eight thousand names."""
    thousands = [_thousand(number) for number in range(8)]
    again = raw.gz(thousands[0]) * 992
    return raw.gz(b"".join(thousands)) + again + raw.gz(raw.END)


def _thousand(number: int) -> bytes:
    return b"".join(raw.header(b"m%d-%d" % (number, inner)) for inner in range(1000))


def directories_that_are_only_implied() -> bytes:
    """Few members below many directories that nobody lists."""
    deep = [b"%d/" % number + b"d/" * 60 + b"end" for number in range(300)]
    return raw.gz(raw.archive(*(raw.pax((b"path", path)) + raw.header(b"x") for path in deep)))


def hard_links_without_end() -> bytes:
    """One file under thousands of names."""
    names = [raw.hard(b"link-%d" % number, b"f") for number in range(6000)]
    return raw.gz(raw.archive(raw.file(b"f"), *names))


def bomb_in_a_pax_header() -> bytes:
    """Sixteen gigabytes of a PAX header, all of which who reads it keeps in memory."""
    size = 16 << 30
    return raw.zst([raw.header(b"x", raw.PAX, size=size), (0x30, size), raw.file(b"f"), raw.END])


ARCHIVES = (
    hostile(zeros_gz, "fills", compression="gz", refused="'etc/zeros'"),
    hostile(zeros_xz, "fills", compression="xz", refused="'etc/zeros'"),
    hostile(zeros_bz2, "fills", compression="bz2", refused="'etc/zeros'"),
    hostile(zeros_zst, "fills", compression="zst", refused="'etc/zeros'"),
    hostile(
        million_members, "fills", compression="gz", naive="tar", refused="more than 5000 members"
    ),
    hostile(
        directories_that_are_only_implied,
        "fills",
        compression="gz",
        refused="more than",
    ),
    hostile(hard_links_without_end, "fills", compression="gz", refused="more than 5000 members"),
    hostile(bomb_in_a_pax_header, "breaks", compression="zst", refused="memory"),
)
