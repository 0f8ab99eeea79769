"""Members whose names lead out of the target, or to places that the agent itself uses."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile


def absolute() -> bytes:
    """A member at an absolute path."""
    return raw.archive(raw.file(b"/outside/planted"))


def dots() -> bytes:
    """A member above the target."""
    return raw.archive(raw.file(b"../../../../outside/planted"))


def dots_inside() -> bytes:
    """A member whose path goes up after it went down."""
    return raw.archive(raw.directory(b"a"), raw.file(b"a/../../../../outside/planted"))


def dots_as_a_directory() -> bytes:
    """A directory called `..` that takes the rights of what is above."""
    return raw.archive(raw.directory(b"..", 0o777), raw.file(b"kept"))


def the_target_itself() -> bytes:
    """The target as a member, without any rights and somebody else's."""
    top = raw.header(b"./", raw.DIRECTORY, mode=0o000, owner=4711)
    return raw.archive(raw.file(b"before"), top, raw.file(b"after"))


def the_target_as_a_file() -> bytes:
    """The target as a file."""
    return raw.archive(raw.file(b"."), raw.file(b"after"))


def prefix_with_dots() -> bytes:
    """A name that only leads out together with its prefix."""
    split = raw.header(b"planted", size=len(raw.PLANTED), rest=b"../../../../outside")
    return raw.archive(split, raw.padded(raw.PLANTED))


def the_store() -> bytes:
    """Members where the agent keeps its bases and locks."""
    names = [b"/store/bases/planted", b"/store/tmp/planted", b"../store/locks/planted"]
    return raw.archive(*map(raw.file, names))


def the_agents_places() -> bytes:
    """Members where the agent has its mounts, sources and results."""
    names = b"run/containerdeploy sources output definitions extensions tree".split()
    return raw.archive(*(raw.file(b"/" + name + b"/planted") for name in names))


def the_listing() -> bytes:
    """Members over the unpacker's own target and listing."""
    names = [b"/target/planted", b"../target/planted", b"/listing", b"../listing"]
    return raw.archive(*map(raw.file, names))


def proc_self() -> bytes:
    """Members through /proc to the unpacker's own root, directory and descriptors."""
    names = [b"/proc/self/root/outside/planted", b"/proc/self/cwd/../outside/planted"]
    return raw.archive(*map(raw.file, [*names, b"/proc/self/fd/1", b"/dev/stdout"]))


def the_tools() -> bytes:
    """Members over the program that unpacks, and over the libraries that it loads."""
    names = [b"/usr/bin/tar", b"../usr/bin/tar", b"/etc/ld.so.preload", b"/etc/passwd"]
    return raw.archive(*map(raw.file, names))


def backslashes() -> bytes:
    """Paths that lead out on other systems."""
    return raw.archive(raw.file(b"..\\..\\outside\\planted"), raw.file(b"C:\\outside\\planted"))


ARCHIVES = (
    hostile(absolute, "escapes"),
    hostile(dots, "escapes"),
    hostile(dots_inside, "escapes"),
    hostile(dots_as_a_directory, "escapes"),
    hostile(the_target_itself, None, "the target's owner and mode are the tree's own"),
    hostile(the_target_as_a_file, None, "every unpacker fails to open a directory as a file"),
    hostile(prefix_with_dots, "escapes"),
    hostile(the_store, "escapes"),
    hostile(the_agents_places, "escapes"),
    hostile(the_listing, "escapes"),
    hostile(proc_self, "escapes"),
    hostile(the_tools, "escapes"),
    hostile(backslashes, None, "on Linux a backslash is a character like any other"),
)
