"""Names that a file system, a terminal or a program stumbles over."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile


def _named(*names: bytes) -> bytes:
    return raw.archive(*(raw.pax((b"path", name)) + raw.file(b"x") for name in names))


def line_ends() -> bytes:
    """Names with line ends in them."""
    return _named(b"a\nb", b"\n", b"c\r\nd", b"e\n: Cannot mknod: Operation not permitted")


def escapes() -> bytes:
    """Names that act on a terminal."""
    return _named(b"\x1b[2J\x1b]0;owned\x07", b"a\x08\x08b", b"\xc2\x9b2J", b"\x7f")


def right_to_left() -> bytes:
    """Names that read differently from what they are."""
    return _named("x\u202egpj.exe".encode(), "a\u200bb".encode(), "\ufeff".encode())


def invalid_utf_8() -> bytes:
    """Names that are no UTF-8."""
    names = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\x80b", b"\xf4\x90\x80\x80")
    return raw.archive(*map(raw.file, names))


def longest_name() -> bytes:
    """A name of 255 bytes, the longest that there is."""
    return _named(b"n" * 255, b"d/" + b"\xff" * 255)


def name_too_long() -> bytes:
    """A name of 256 bytes."""
    return _named(b"before", b"n" * 256, b"after")


def path_too_long() -> bytes:
    """A path of 5,000 bytes."""
    return _named(b"before", b"directory/" * 500, b"after")


def thousand_levels() -> bytes:
    """A thousand directories inside each other."""
    return _named(b"d/" * 1000 + b"bottom")


def path_that_no_program_can_name() -> bytes:
    """Directories that go on behind a link, to a path longer than any program can say."""
    deep = b"directory/" * 250
    far = raw.pax((b"path", b"link/" + deep + b"end")) + raw.file(b"x")
    first = raw.pax((b"path", deep + b"end")) + raw.file(b"x")
    return raw.archive(first, raw.link(b"link", deep), far)


def slashes_and_dots() -> bytes:
    """Paths with more slashes and dots than they need, and names that are almost dots."""
    names = (b"a//b", b"./././c", b"d/./e", b"...", b".. ", b" ..", b"f/.../g", b"h/", b"//i")
    return _named(*names)


def no_name() -> bytes:
    """Members without a name."""
    return raw.archive(raw.file(b""), raw.directory(b""), raw.file(b"after"))


def options() -> bytes:
    """Names that programs take for options."""
    names = (b"-rf", b"--checkpoint-action=exec=sh", b"-", b"--", b"--to-command=sh", b"@x", b"*")
    return raw.archive(*map(raw.file, names))


def spaces_and_controls() -> bytes:
    """Names of nothing but spaces and control characters."""
    return _named(b" ", b"\t", b"\x01\x02", b"a ", b" a", b"\\", b"\\n", b"'\"`$(id)")


def zero_bytes() -> bytes:
    """Names with a zero byte in them."""
    return _named(b"a\0b", b"\0", b"../\0x")


def case_twins() -> bytes:
    """Names that differ in case only."""
    twins = [raw.file(b"etc/Passwd", b"1"), raw.file(b"etc/passwd", b"2"), raw.file(b"ETC/x", b"3")]
    return raw.archive(*twins)


def unicode_twins() -> bytes:
    """Names that look the same and are composed differently."""
    twins = ["é", "e\u0301", "ﬁ", "fi", "Å", "Å", "A\u030a", "ß", "ss"]
    return _named(*(name.encode() for name in twins))


_DATA = "names are data to every unpacker"
ARCHIVES = (
    hostile(line_ends, None, _DATA),
    hostile(escapes, None, _DATA),
    hostile(right_to_left, None, _DATA),
    hostile(invalid_utf_8, None, _DATA),
    hostile(longest_name, None, _DATA),
    hostile(name_too_long, None, "the kernel takes no such name"),
    hostile(path_too_long, None, "the kernel takes no such path"),
    hostile(thousand_levels, None, "it can be made, and walked by who has a limit of his own"),
    hostile(
        path_that_no_program_can_name,
        None,
        "only who walks it afterwards is harmed",
        refused="longer than 4095 bytes",
    ),
    hostile(slashes_and_dots, None, _DATA),
    hostile(no_name, None, _DATA),
    hostile(options, None, "nothing here is given to a program as a word"),
    hostile(spaces_and_controls, None, _DATA),
    hostile(zero_bytes, None, "every unpacker ends the name there"),
    hostile(case_twins, None, "the store's file systems tell them apart"),
    hostile(unicode_twins, None, "the store's file systems tell them apart"),
)
