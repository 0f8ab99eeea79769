"""What is more than data where it lies: devices, programs with rights, marks of overlayfs."""

from containerdeploy.selftest.archives import raw
from containerdeploy.selftest.archives.model import hostile

# version 2, effective, all that there are: what setcap writes
CAPABILITY = bytes.fromhex("01000002ffffffff00000000ffffffff00000000")


def _marked(name: bytes, key: bytes, value: bytes, member: bytes) -> bytes:
    return raw.pax((b"SCHILY.xattr." + key, value)) + member


def devices() -> bytes:
    """Nodes of the machine's memory and disks, open to everyone."""
    memory = [raw.node(b"mem", raw.CHARACTER, 1, 1), raw.node(b"kmsg", raw.CHARACTER, 1, 11)]
    disks = [raw.node(b"vda", raw.BLOCKS, 254, 0), raw.node(b"sda", raw.BLOCKS, 8, 0)]
    return raw.archive(*memory, *disks, raw.node(b"zero", raw.CHARACTER, 1, 5))


def huge_device_numbers() -> bytes:
    """Nodes with numbers that no device has, and some beyond what a kernel knows."""
    numbers = [(4095, 1048575), (2097151, 2097151), (-1, -1), (1 << 40, 1 << 40)]
    made = [raw.node(b"n%d" % n, raw.CHARACTER, *pair) for n, pair in enumerate(numbers)]
    return raw.archive(*made)


def fifos() -> bytes:
    """A fifo, then a file of its name: who opens it without a thought waits for ever."""
    return raw.archive(raw.header(b"p", raw.FIFO), raw.file(b"p"), raw.header(b"q", raw.FIFO))


def sockets() -> bytes:
    """A socket, which tar has no kind for: as a mode, and as a kind that is made up."""
    by_mode = raw.header(b"by-mode", mode=0o140777)
    return raw.archive(by_mode, raw.header(b"by-kind", b"s"), raw.file(b"after"))


def unknown_kinds() -> bytes:
    """Members of every kind that nobody knows."""
    kinds = [bytes([code]) for code in range(0x41, 0x80) if chr(code) not in "DKLMNSVgx"]
    return raw.archive(*(raw.header(b"kind-" + kind.hex().encode(), kind) for kind in kinds))


def setuid() -> bytes:
    """Programs that whoever starts them is root in."""
    modes = [0o4755, 0o2755, 0o6777, 0o1777, 0o7777]
    made = [raw.file(b"%o" % mode, b"#!/bin/sh\n", mode=mode) for mode in modes]
    return raw.archive(*made, raw.directory(b"shared", 0o7777))


def capabilities() -> bytes:
    """A program with all capabilities."""
    program = raw.file(b"tool", b"#!/bin/sh\n", mode=0o755)
    return raw.archive(_marked(b"tool", b"security.capability", CAPABILITY, program))


def broken_capabilities() -> bytes:
    """Capabilities that are none."""
    values = [b"", b"x", CAPABILITY[:-1], CAPABILITY + b"x", bytes(24), b"\xff" * 20]
    made = [
        _marked(b"t", b"security.capability", value, raw.file(b"t%d" % number))
        for number, value in enumerate(values)
    ]
    return raw.archive(*made)


def whiteout_device() -> bytes:
    """A device 0:0, which overlayfs takes for a deleted file."""
    return raw.archive(raw.directory(b"etc"), raw.node(b"etc/passwd", raw.CHARACTER, 0, 0))


def whiteout_names() -> bytes:
    """Names that container layers take for deleted files; here they are data."""
    names = [b".wh.etc", b"etc/.wh.passwd", b"etc/.wh..wh..opq", b".wh..wh.plnk/1.2"]
    return raw.archive(raw.directory(b"etc"), *map(raw.file, names))


def trusted_overlay() -> bytes:
    """The marks of overlayfs as it is mounted by root."""
    marks = [(b"opaque", b"y"), (b"redirect", b"/etc"), (b"metacopy", b""), (b"whiteout", b"y")]
    made = [
        _marked(b"d", b"trusted.overlay." + key, value, raw.directory(b"d-" + key))
        for key, value in marks
    ]
    return raw.archive(*made, raw.file(b"d-opaque/x"))


def user_overlay() -> bytes:
    """The marks of overlayfs as it is mounted by an ordinary user."""
    top = _marked(b"d", b"user.overlay.opaque", b"y", raw.directory(b"etc"))
    deep = _marked(b"f", b"user.overlay.whiteout", b"y", raw.file(b"etc/passwd", b""))
    moved = _marked(b"r", b"user.overlay.redirect", b"/etc", raw.directory(b"usr"))
    return raw.archive(top, deep, moved)


def user_overlay_on_the_top() -> bytes:
    """The same mark on the target itself."""
    return raw.archive(_marked(b".", b"user.overlay.opaque", b"y", raw.directory(b"./")))


def security_labels() -> bytes:
    """Labels that this machine's own policy gives."""
    keys = [b"security.selinux", b"security.ima", b"security.evm", b"security.SMACK64"]
    made = [_marked(b"f", key, b"x" * 20, raw.file(b"f-" + key)) for key in keys]
    return raw.archive(*made, raw.file(b"after"))


def strange_attributes() -> bytes:
    """Attributes with names and values that no file system takes."""
    keys = [(b"user." + b"n" * 300, b"x"), (b"user.big", b"x" * 70_000), (b"nobody.x", b"x")]
    keys += [(b"user.", b"x"), (b"", b"x"), (b"user.new\nline", b"x"), (b"system.x", b"x")]
    made = [_marked(b"f", key, value, raw.file(b"f%d" % n)) for n, (key, value) in enumerate(keys)]
    return raw.archive(*made, raw.file(b"after"))


def broken_access_lists() -> bytes:
    """Access lists that are none."""
    texts = [b"", b"x", b"user::rwx", b"user:" + b"9" * 30 + b":rwx", b"group::rwx\n" * 500]
    made = [
        raw.pax((b"SCHILY.acl.access", text), (b"SCHILY.acl.default", text))
        + raw.directory(b"d%d" % number)
        for number, text in enumerate(texts)
    ]
    return raw.archive(*made)


def broken_attributes() -> bytes:
    """Attributes of a long name on a member that has a short one (CVE-2023-39804)."""
    long_key = raw.pax((b"SCHILY.xattr." + b"user." + b"A" * 20_000, b"x"))
    return raw.archive(long_key, raw.file(b"f"), raw.pax((b"SCHILY.xattr.", b"")), raw.file(b"g"))


_LOST = "an attribute that can't be set is told of by every unpacker"
ARCHIVES = (
    hostile(devices, "works", needs_root=True),
    hostile(huge_device_numbers, None, "these numbers lead to no device"),
    hostile(fifos, "hangs"),
    hostile(sockets, None, "there is no such kind, so every unpacker makes a file"),
    hostile(unknown_kinds, None, "every unpacker makes files of them, or skips them"),
    hostile(setuid, "works"),
    hostile(capabilities, "works", naive="tar"),
    hostile(broken_capabilities, None, "the kernel takes no capability that is none"),
    hostile(whiteout_device, "hides", refused="'etc/passwd'"),
    hostile(whiteout_names, None, "only a program that knows container layers minds these names"),
    hostile(trusted_overlay, "hides", naive="tar", needs_root=True),
    hostile(user_overlay, "hides", naive="tar", rootless="'etc'"),
    hostile(
        user_overlay_on_the_top,
        None,
        "overlayfs minds no mark on the top of a layer",
        rootless="'.'",
    ),
    hostile(security_labels, None, "where there is no such policy they are data"),
    hostile(strange_attributes, None, _LOST),
    hostile(broken_access_lists, None, _LOST),
    hostile(broken_attributes, None, _LOST),
)
