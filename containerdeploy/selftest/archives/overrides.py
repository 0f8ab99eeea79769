"""Headers that say something else than the member does: PAX records, GNU's long names, numbers."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile

OUT = b"../../../../outside/planted"


def pax_path() -> bytes:
    """A harmless name whose PAX record leads out."""
    return raw.archive(raw.pax((b"path", OUT)) + raw.file(b"harmless"))


def pax_absolute_path() -> bytes:
    """A harmless name whose PAX record is absolute."""
    return raw.archive(raw.pax((b"path", b"/outside/planted")) + raw.file(b"harmless"))


def pax_path_twice() -> bytes:
    """Two records for one name: the last wins, and leads out."""
    records = raw.pax((b"path", b"harmless"), (b"path", OUT))
    return raw.archive(records + raw.file(b"x"))


def pax_linkpath() -> bytes:
    """A harmless link whose PAX record leads out, and a member through it."""
    way = raw.pax((b"linkpath", b"/outside")) + raw.link(b"l", b"harmless")
    return raw.archive(way, raw.file(b"l/planted"))


def pax_linkpath_of_a_hard_link() -> bytes:
    """A harmless hard link whose PAX record leads out, and a file over it."""
    way = raw.pax((b"linkpath", b"/outside/existing")) + raw.hard(b"h", b"harmless")
    return raw.archive(raw.file(b"harmless"), way, raw.file(b"h"))


def pax_global_path() -> bytes:
    """A PAX record that leads all members out at once."""
    return raw.archive(raw.pax((b"path", OUT), kind=raw.PAX_GLOBAL), raw.file(b"a"), raw.file(b"b"))


def pax_size() -> bytes:
    """A size that only the PAX record tells: what is content to one is a member to another."""
    inner = raw.file(b"/outside/planted")
    outer = raw.pax((b"size", b"%d" % len(inner))) + raw.header(b"outer", size=0)
    return raw.archive(outer, inner, raw.file(b"after"))


def pax_size_hides() -> bytes:
    """A size that the PAX record takes away: the content comes out as a member."""
    inner = raw.file(b"/outside/planted")
    outer = raw.pax((b"size", b"0")) + raw.header(b"outer", size=len(inner))
    return raw.archive(outer, inner, raw.file(b"after"))


def pax_negative_size() -> bytes:
    """A PAX record with a size below nothing."""
    return raw.archive(raw.pax((b"size", b"-1024")) + raw.file(b"f"), raw.file(b"after"))


def pax_enormous_size() -> bytes:
    """PAX records with sizes beyond what any number holds."""
    sizes = [b"9" * 30, b"18446744073709551616", b"9223372036854775807"]
    made = [raw.pax((b"size", size)) + raw.file(b"f%d" % n) for n, size in enumerate(sizes)]
    return raw.archive(*made)


def pax_broken_records() -> bytes:
    """PAX records whose lengths lie."""
    texts = [b"0 path=x\n", b"999999 path=x\n", b"-5 path=x\n", b"12 pathx", b"5 a=b", b"\n\n\n"]
    made = [raw.pax_text(text) + raw.file(b"f%d" % n) for n, text in enumerate(texts)]
    return raw.archive(*made)


def pax_numbers() -> bytes:
    """PAX records of owners and times that are no numbers, or too large for one."""
    records = [(b"uid", b"-1"), (b"gid", b"4294967295"), (b"mtime", b"9" * 40), (b"mtime", b"x")]
    records += [(b"uid", b"99999999999999999999"), (b"mtime", b"-99999999999")]
    made = [raw.pax(one) + raw.file(b"f%d" % n) for n, one in enumerate(records)]
    return raw.archive(*made)


def pax_of_nothing() -> bytes:
    """PAX headers with no member behind them, one after the other."""
    return raw.archive(raw.file(b"f"), *[raw.pax((b"path", b"x"))] * 50)


def pax_header_of_an_enormous_size() -> bytes:
    """A PAX header that claims to be eight gigabytes long."""
    return raw.archive(raw.pax_text(b"9 path=x\n", size=8 << 30) + raw.file(b"f"))


def long_name_leads_out() -> bytes:
    """A GNU long name that leads out."""
    return raw.archive(raw.long(raw.LONG_NAME, OUT) + raw.file(b"harmless"))


def long_link_leads_out() -> bytes:
    """A GNU long link that leads out, and a member through it."""
    way = raw.long(raw.LONG_LINK, b"/outside") + raw.link(b"l", b"harmless")
    return raw.archive(way, raw.file(b"l/planted"))


def long_names_in_a_loop() -> bytes:
    """Thousands of GNU long names for one member."""
    names = [raw.long(raw.LONG_NAME, b"name-%d" % n) for n in range(3000)]
    return raw.archive(*names, raw.file(b"last"))


def long_names_of_long_names() -> bytes:
    """GNU's and PAX's long names for each other."""
    mixed = raw.long(raw.LONG_NAME, OUT) + raw.pax((b"path", b"inner")) + raw.pax((b"path", OUT))
    return raw.archive(mixed + raw.long(raw.LONG_LINK, b"x") + raw.file(b"harmless"))


def long_name_of_nothing() -> bytes:
    """A GNU long name with nothing behind it."""
    return raw.archive(raw.file(b"f"), raw.long(raw.LONG_NAME, b"x"))


def long_name_of_an_enormous_size() -> bytes:
    """GNU long names that claim to be longer than memory, and shorter than nothing."""
    sizes: list[int] = [8 << 30, (1 << 62), -1]
    return raw.archive(*(raw.long(raw.LONG_NAME, b"x", size=size) for size in sizes))


def negative_size() -> bytes:
    """A member smaller than nothing."""
    return raw.archive(raw.file(b"before"), raw.header(b"f", size=-1024), raw.file(b"after"))


def enormous_size() -> bytes:
    """A member of four exabytes."""
    return raw.archive(raw.file(b"before"), raw.header(b"f", size=1 << 62), raw.file(b"after"))


def size_of_no_digits() -> bytes:
    """A size that is no number."""
    made = raw.header(b"f", size=b"zzzzzzzzzzz")
    return raw.archive(raw.file(b"before"), made, raw.file(b"after"))


def size_of_a_directory() -> bytes:
    """Directories, links and devices that claim to have content."""
    inner = raw.file(b"/outside/planted")
    kinds = [raw.DIRECTORY, raw.LINK, raw.CHARACTER, raw.FIFO]
    made = [
        raw.header(b"k%d" % n, kind, size=len(inner), link=b"x", device=(1, 3)) + inner
        for n, kind in enumerate(kinds)
    ]
    return raw.archive(*made)


def enormous_numbers() -> bytes:
    """Owners and times beyond what a file system holds."""
    owners = [raw.header(b"o%d" % n, owner=n) for n in (-1, 1 << 31, (1 << 32) - 1, 1 << 50)]
    times = [raw.header(b"t%d" % n, mtime=n) for n in (-1, -(1 << 40), 1 << 33, 1 << 60)]
    return raw.archive(*owners, *times)


def other_kinds_of_gnu() -> bytes:
    """A volume's label, a part of a file, a list of names and a directory's list to be purged."""
    listing = b"Yplanted\0Rplanted\0T../../../../outside/planted\0\0"
    made = [raw.header(b"label", b"V"), raw.header(b"part", b"M", size=0)]
    made += [raw.header(b"dumped", b"D", size=len(listing)) + raw.padded(listing)]
    names = b"Rename /etc/passwd to outside\n"
    made += [raw.header(b"names", b"N", size=len(names)) + raw.padded(names)]
    return raw.archive(*made, raw.file(b"after"))


_SAME = "every unpacker fails there or makes what the archive says"
ARCHIVES = (
    hostile(pax_path, "escapes"),
    hostile(pax_absolute_path, "escapes"),
    hostile(pax_path_twice, "escapes"),
    hostile(pax_linkpath, "escapes"),
    hostile(pax_linkpath_of_a_hard_link, "escapes"),
    hostile(pax_global_path, "escapes"),
    hostile(pax_size, None, _SAME),
    hostile(pax_size_hides, "escapes"),
    hostile(pax_negative_size, None, _SAME),
    hostile(pax_enormous_size, None, _SAME),
    hostile(pax_broken_records, None, _SAME),
    hostile(pax_numbers, None, _SAME),
    hostile(pax_of_nothing, None, _SAME),
    hostile(pax_header_of_an_enormous_size, None, _SAME),
    hostile(long_name_leads_out, "escapes"),
    hostile(long_link_leads_out, "escapes"),
    hostile(long_names_in_a_loop, None, _SAME),
    hostile(long_names_of_long_names, "escapes"),
    hostile(long_name_of_nothing, None, _SAME),
    hostile(long_name_of_an_enormous_size, None, _SAME),
    hostile(negative_size, None, _SAME),
    hostile(enormous_size, None, _SAME),
    hostile(size_of_no_digits, None, _SAME),
    hostile(size_of_a_directory, "escapes"),
    hostile(enormous_numbers, None, _SAME),
    hostile(other_kinds_of_gnu, None, _SAME),
)
