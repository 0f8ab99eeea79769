"""Links, and members that go through them."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile


def through_a_link() -> bytes:
    """A symbolic link to a directory outside, then a member through it."""
    return raw.archive(raw.link(b"l", b"/outside"), raw.file(b"l/planted"))


def through_a_relative_link() -> bytes:
    """The same with a link that climbs."""
    return raw.archive(raw.link(b"l", b"../../../../outside"), raw.file(b"l/planted"))


def through_two_links() -> bytes:
    """Two links, each harmless, that lead out together."""
    links = [raw.directory(b"d"), raw.link(b"a", b"d/.."), raw.link(b"b", b"a/../../../../outside")]
    return raw.archive(*links, raw.file(b"b/planted"))


def through_a_deeper_link() -> bytes:
    """A link to a parent from deep inside, then a member through that."""
    parts = [raw.directory(b"a/b"), raw.link(b"a/b/up", b"../../../../../outside")]
    return raw.archive(*parts, raw.file(b"a/b/up/planted"))


def directory_replaced_by_a_link() -> bytes:
    """A directory that becomes a link between two of its members."""
    before = [raw.directory(b"d"), raw.link(b"d", b"/outside")]
    return raw.archive(*before, raw.file(b"d/planted"))


def full_directory_replaced_by_a_link() -> bytes:
    """The same with a directory that is not empty."""
    before = [raw.file(b"d/x"), raw.link(b"d", b"/outside"), raw.file(b"d/planted")]
    return raw.archive(*before)


def file_replaced_by_a_link() -> bytes:
    """A link in a file's place, then the file once more."""
    return raw.archive(raw.file(b"f"), raw.link(b"f", b"/outside/existing"), raw.file(b"f"))


def file_over_a_link() -> bytes:
    """A link to a file that is not there yet, then a file of the link's name."""
    return raw.archive(raw.link(b"f", b"/outside/planted"), raw.file(b"f"))


def directory_over_a_link() -> bytes:
    """A link to a directory outside, then a directory of its name with other rights."""
    return raw.archive(raw.link(b"d", b"/outside"), raw.directory(b"d", 0o1777))


def link_with_a_slash() -> bytes:
    """A link, then its name with a slash, as a file."""
    return raw.archive(raw.link(b"l", b"/outside"), raw.directory(b"l/", 0o700))


def hard_link_outside() -> bytes:
    """A hard link to a file outside, then a file of that name."""
    return raw.archive(raw.hard(b"h", b"/outside/existing"), raw.file(b"h"))


def hard_link_up() -> bytes:
    """A hard link that climbs, then a file of that name."""
    return raw.archive(raw.hard(b"h", b"../../../../outside/existing"), raw.file(b"h"))


def hard_link_for_its_rights() -> bytes:
    """A hard link to a file outside that only gives it other rights."""
    return raw.archive(raw.hard(b"h", b"/outside/existing", mode=0o6777))


def hard_link_to_a_device() -> bytes:
    """A hard link to a device node outside that opens it to everyone."""
    return raw.archive(raw.hard(b"h", b"/outside/device", mode=0o666))


def hard_link_to_a_device_of_its_own() -> bytes:
    """A device node, a hard link to it, and a file over that."""
    made = raw.node(b"n", raw.CHARACTER, 1, 5)
    return raw.archive(made, raw.hard(b"h", b"n"), raw.file(b"h"))


def hard_link_to_a_link() -> bytes:
    """A link to a file outside, a hard link to the link, a file through that."""
    target = raw.link(b"s", b"/outside/existing")
    return raw.archive(target, raw.hard(b"h", b"s"), raw.file(b"h"))


def hard_link_through_a_link() -> bytes:
    """A hard link to what lies behind a link."""
    way = raw.link(b"l", b"/outside")
    return raw.archive(way, raw.hard(b"h", b"l/existing"), raw.file(b"h"))


def hard_link_to_itself() -> bytes:
    """A hard link to its own name."""
    return raw.archive(raw.file(b"h"), raw.hard(b"h", b"h"), raw.hard(b"i", b"h"))


def hard_link_to_nothing() -> bytes:
    """A hard link to what comes later."""
    return raw.archive(raw.hard(b"h", b"later"), raw.file(b"later"))


def hard_link_to_a_directory() -> bytes:
    """A hard link to a directory."""
    return raw.archive(raw.directory(b"d"), raw.hard(b"h", b"d"), raw.file(b"h/planted"))


def hard_link_with_content() -> bytes:
    """A hard link that brings content along, which looks like a member to who skips none."""
    inner = raw.file(b"/outside/planted")
    linked = raw.header(b"h", raw.HARD, size=len(inner), link=b"f")
    return raw.archive(raw.file(b"f"), linked, inner)


def links_in_a_circle() -> bytes:
    """Links to each other, and a member through them."""
    circle = [raw.link(b"a", b"b"), raw.link(b"b", b"a"), raw.link(b"c", b"c/c")]
    return raw.archive(*circle, raw.file(b"a/x"))


def chain_of_links() -> bytes:
    """More links one behind the other than the kernel follows."""
    chain = [raw.link(b"l%d" % n, b"l%d" % (n + 1)) for n in range(60)]
    return raw.archive(*chain, raw.directory(b"l60"), raw.file(b"l0/x"))


def link_of_a_long_target() -> bytes:
    """A link whose target is longer than a path may be."""
    return raw.archive(raw.link(b"l", b"x/" * 2500), raw.file(b"after"))


def link_to_nothing_at_all() -> bytes:
    """A link with an empty target."""
    return raw.archive(raw.link(b"l", b""), raw.file(b"after"))


def links_that_stay() -> bytes:
    """Links that lead out and are never gone through: data, kept as they are."""
    targets = [b"/", b"/etc/shadow", b"../../..", b"/proc/self/root", b"a\nb\x1b[2J\xff"]
    return raw.archive(*(raw.link(b"l%d" % n, to) for n, to in enumerate(targets)))


_ALL_FAIL = "every unpacker fails there or makes what the archive says"
ARCHIVES = (
    hostile(through_a_link, "escapes"),
    hostile(through_a_relative_link, "escapes"),
    hostile(through_two_links, "escapes"),
    hostile(through_a_deeper_link, "escapes"),
    hostile(directory_replaced_by_a_link, "escapes"),
    hostile(full_directory_replaced_by_a_link, None, "no unpacker replaces a full directory"),
    hostile(file_replaced_by_a_link, "escapes", varies="f"),
    hostile(file_over_a_link, "escapes", varies="f"),
    hostile(directory_over_a_link, "escapes", varies="d"),
    hostile(link_with_a_slash, "escapes", varies="l"),
    hostile(hard_link_outside, "escapes"),
    hostile(hard_link_up, "escapes"),
    hostile(hard_link_for_its_rights, "escapes"),
    hostile(hard_link_to_a_device, "escapes", needs_root=True),
    hostile(hard_link_to_a_device_of_its_own, "works", needs_root=True),
    hostile(hard_link_to_a_link, "escapes", varies="h"),
    hostile(hard_link_through_a_link, "escapes"),
    hostile(hard_link_to_itself, None, _ALL_FAIL),
    hostile(hard_link_to_nothing, None, _ALL_FAIL),
    hostile(hard_link_to_a_directory, None, _ALL_FAIL),
    hostile(hard_link_with_content, "escapes"),
    hostile(links_in_a_circle, None, _ALL_FAIL),
    hostile(chain_of_links, None, _ALL_FAIL),
    hostile(link_of_a_long_target, None, _ALL_FAIL),
    hostile(link_to_nothing_at_all, None, _ALL_FAIL),
    hostile(links_that_stay, None, "a link that nobody follows does nothing"),
)
