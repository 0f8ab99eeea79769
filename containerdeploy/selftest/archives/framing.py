"""Archives that end too early, too late or twice, and compressed ones that are damaged."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile

CONTENT = bytes(range(256)) * 20
PLAIN = raw.file(b"first", CONTENT) + raw.file(b"second", CONTENT)
GARBAGE = bytes((7 * n * n + n // 3) % 256 for n in range(4096))


def cut_in_a_header() -> bytes:
    """An archive that ends within a header."""
    return PLAIN + raw.file(b"third", CONTENT)[:300]


def cut_in_content() -> bytes:
    """An archive that ends within a file."""
    return PLAIN + raw.file(b"third", CONTENT)[:1500]


def cut_between_members() -> bytes:
    """An archive that ends after a whole file."""
    return PLAIN


def cut_in_the_end() -> bytes:
    """An archive whose end is only half there."""
    return PLAIN + bytes(raw.BLOCK)


def cut_in_a_pax_header() -> bytes:
    """An archive that ends within a PAX header."""
    return PLAIN + raw.pax((b"path", b"x" * 3000))[:1500]


def cut_behind_a_pax_header() -> bytes:
    """An archive that ends before the member that its PAX header is for."""
    return PLAIN + raw.pax((b"path", b"x"))


def cut_in_a_long_name() -> bytes:
    """An archive that ends within a GNU long name."""
    return PLAIN + raw.long(raw.LONG_NAME, b"x" * 3000)[:1500]


def cut_in_a_sparse_map() -> bytes:
    """An archive that ends within the map of a file with holes."""
    records = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
    records += [(b"GNU.sparse.name", b"f"), (b"GNU.sparse.realsize", b"99999")]
    return PLAIN + raw.pax(*records) + raw.header(b"x", size=8192) + b"100\n0\n1\n".ljust(512, b"1")


def cut_to_nothing() -> bytes:
    """An archive of no bytes at all."""
    return b""


def nothing_but_zeros() -> bytes:
    """An archive without a member."""
    return bytes(10_240)


def one_zero_block_inside() -> bytes:
    """Half an end of an archive, then more members."""
    return raw.file(b"first") + bytes(raw.BLOCK) + raw.archive(raw.file(b"second"))


def garbage_behind() -> bytes:
    """Bytes that are no archive behind its end."""
    return raw.archive(PLAIN) + GARBAGE


def garbage_between() -> bytes:
    """Bytes that are no archive between two members."""
    return raw.archive(raw.file(b"first"), GARBAGE, raw.file(b"second"))


def garbage_before() -> bytes:
    """A header whose sum is wrong, before everything else."""
    return raw.archive(raw.header(b"first")[:-1] + b"x", raw.file(b"second"))


def two_archives() -> bytes:
    """Two archives in one file."""
    return raw.archive(raw.file(b"first")) + raw.archive(raw.file(b"/outside/planted"))


def two_archives_compressed() -> bytes:
    """Two archives in one, each compressed by itself."""
    second = raw.archive(raw.file(b"/outside/planted"))
    return raw.gz(raw.archive(raw.file(b"first"))) + raw.gz(second)


def compressed_twice() -> bytes:
    """A compressed archive, compressed."""
    return raw.gz(raw.gz(raw.archive(PLAIN)))


def duplicates() -> bytes:
    """One name again and again: the last wins."""
    again = [raw.file(b"f", b"%d" % number) for number in range(20)]
    return raw.archive(*again, raw.header(b"f", mode=0o600))


def duplicates_of_other_kinds() -> bytes:
    """One name as a file, a directory, a link and a file."""
    kinds = [raw.file(b"f"), raw.directory(b"f"), raw.link(b"f", b"g"), raw.file(b"f", b"last")]
    return raw.archive(*kinds)


def directory_after_its_files() -> bytes:
    """A directory that is made unreadable and somebody else's before its files come."""
    closed = raw.header(b"d", raw.DIRECTORY, mode=0o000, owner=4711)
    return raw.archive(closed, raw.file(b"d/inside"), raw.file(b"d/e/inside"), closed)


def of_1979() -> bytes:
    """Headers without any magic, as of 1979."""
    return raw.archive(
        raw.header(b"old", magic=raw.V7), raw.header(b"old-too", b"\0", magic=raw.V7)
    )


def gz_cut() -> bytes:
    """A gzip stream that ends too early."""
    return raw.gz(raw.archive(PLAIN))[:-12]


def gz_damaged() -> bytes:
    """A gzip stream whose sum is wrong."""
    data = bytearray(raw.gz(raw.archive(PLAIN)))
    data[-6] ^= 0xFF
    return bytes(data)


def gz_and_garbage() -> bytes:
    """A gzip stream with something else behind it."""
    return raw.gz(raw.archive(PLAIN)) + GARBAGE


def xz_cut() -> bytes:
    """An xz stream that ends too early."""
    return raw.xz(raw.archive(PLAIN))[:-12]


def xz_damaged() -> bytes:
    """An xz stream with a byte that is another."""
    return _damaged(raw.xz(raw.archive(PLAIN)))


def xz_and_garbage() -> bytes:
    """An xz stream with something else behind it."""
    return raw.xz(raw.archive(PLAIN)) + GARBAGE


def bz2_cut() -> bytes:
    """A bzip2 stream that ends too early."""
    return raw.bz(raw.archive(PLAIN))[:-12]


def bz2_damaged() -> bytes:
    """A bzip2 stream with a byte that is another."""
    return _damaged(raw.bz(raw.archive(PLAIN)))


def bz2_and_garbage() -> bytes:
    """A bzip2 stream with something else behind it."""
    return raw.bz(raw.archive(PLAIN)) + GARBAGE


def zst_cut() -> bytes:
    """A zstd frame that ends too early."""
    return raw.zst([raw.archive(PLAIN)])[:-12]


def zst_damaged() -> bytes:
    """A zstd frame with a block of a kind that there isn't."""
    data = bytearray(raw.zst([raw.archive(PLAIN)]))
    data[6] |= 0b110
    return bytes(data)


def zst_and_garbage() -> bytes:
    """A zstd frame with something else behind it."""
    return raw.zst([raw.archive(PLAIN)]) + GARBAGE


def compression_that_is_another() -> bytes:
    """A zstd frame that is called gzip."""
    return raw.zst([raw.archive(PLAIN)])


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


_TOLD = "every unpacker tells of it"
_DATA = "every unpacker makes what the archive says"
_CUT = "ends before the end of the archive"
ARCHIVES = (
    hostile(cut_in_a_header, "swallowed", refused=_CUT),
    hostile(cut_in_content, None, _TOLD),
    hostile(cut_between_members, "swallowed", refused=_CUT),
    hostile(cut_in_the_end, "swallowed"),
    hostile(cut_in_a_pax_header, None, _TOLD),
    hostile(cut_behind_a_pax_header, None, _TOLD, refused=_CUT),
    hostile(cut_in_a_long_name, None, _TOLD),
    hostile(cut_in_a_sparse_map, None, _TOLD),
    hostile(cut_to_nothing, None, _TOLD),
    hostile(nothing_but_zeros, None, _DATA),
    hostile(one_zero_block_inside, "swallowed"),
    hostile(garbage_behind, "swallowed"),
    hostile(garbage_between, "swallowed"),
    hostile(garbage_before, None, _TOLD),
    hostile(two_archives, "swallowed"),
    hostile(two_archives_compressed, "swallowed", compression="gz"),
    hostile(compressed_twice, None, _TOLD, compression="gz", refused=_CUT),
    hostile(duplicates, None, _DATA),
    hostile(duplicates_of_other_kinds, None, _DATA),
    hostile(directory_after_its_files, None, _DATA),
    hostile(of_1979, None, _DATA),
    hostile(gz_cut, None, _TOLD, compression="gz"),
    hostile(gz_damaged, None, _TOLD, compression="gz"),
    hostile(gz_and_garbage, None, _TOLD, compression="gz"),
    hostile(xz_cut, None, _TOLD, compression="xz"),
    hostile(xz_damaged, None, _TOLD, compression="xz"),
    hostile(xz_and_garbage, None, _TOLD, compression="xz"),
    hostile(bz2_cut, None, _TOLD, compression="bz2"),
    hostile(bz2_damaged, None, _TOLD, compression="bz2"),
    hostile(bz2_and_garbage, None, _TOLD, compression="bz2"),
    hostile(zst_cut, None, _TOLD, compression="zst"),
    hostile(zst_damaged, None, _TOLD, compression="zst"),
    hostile(zst_and_garbage, None, _TOLD, compression="zst"),
    hostile(compression_that_is_another, None, _TOLD, compression="gz"),
)
