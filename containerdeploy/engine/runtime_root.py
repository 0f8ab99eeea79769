"""The root of a local container: the host's tools read-only, a small /etc of our own, its mounts.

Everything here runs in a mount namespace of its own; what it mounts goes with that. Attributes are
set on detached copies, before anything can be reached through them, and no link on the way to a
mount's target is followed: a volume's content can't lead the next mount elsewhere.
"""

import os
from contextlib import suppress

from containerdeploy import syscalls as sys
from containerdeploy.engine.runtime_order import Place

TOOLS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
EMPTY_DIRECTORIES = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "var", "var/tmp")
DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
SHOWN_OF_ETC = (
    "alternatives ca-certificates ld.so.cache ld.so.conf ld.so.conf.d protocols services ssl/certs"
).split()
RESOLVER = "/etc/resolv.conf"
OWN_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
PROC_HIDDEN = "acpi asound kcore keys latency_stats sched_debug scsi timer_list".split()
_DETACHED = sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC | sys.AT_RECURSIVE
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = sys.MOUNT_ATTR_NODEV | sys.MOUNT_ATTR_NOSUID


def enter(at: str, places: list[Place], *, network: bool, cover_proc: bool) -> None:
    """Build the root on the directory `at`, move in, throw the old root away."""
    os.umask(0)
    sys.mount(None, "/", None, sys.MS_REC | sys.MS_PRIVATE)
    flags = sys.MS_NOSUID | sys.MS_NODEV
    sys.mount("tmpfs", at, "tmpfs", flags, "size=4m,nr_inodes=4096,mode=755")
    os.chdir(at)
    _lay_tools()
    for name in EMPTY_DIRECTORIES:
        os.mkdir(name, 0o755)
    _fill_etc(network=network)
    _fill_dev()
    sys.mount("proc", "proc", "proc", flags | sys.MS_NOEXEC)
    if cover_proc:
        _cover_proc()
    for place in places:
        _furnish(place)
    sys.pivot_root(".", ".")
    sys.umount(".", sys.MNT_DETACH)
    os.chdir("/")
    _set_read_only("/")
    os.umask(0o022)


def _lay_tools() -> None:
    for name in TOOLS:
        path = f"/{name}"
        if os.path.islink(path):
            os.symlink(os.readlink(path), name)
        elif os.path.isdir(path):
            os.mkdir(name)
            _bind(path, name, _PLAIN | sys.MOUNT_ATTR_RDONLY)


def _fill_etc(*, network: bool) -> None:
    for name, text in OWN_ETC.items():
        descriptor = os.open(f"etc/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    shown = [f"/etc/{name}" for name in SHOWN_OF_ETC]
    for path in [*shown, RESOLVER] if network else shown:
        if os.path.exists(path):
            target = path[1:]
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            _touch(target) if os.path.isfile(path) else os.mkdir(target, 0o755)
            _bind(os.path.realpath(path), target, _PLAIN | sys.MOUNT_ATTR_RDONLY)


def _fill_dev() -> None:
    """Make a small /dev; the devices are the host's own, so their mounts may not be nodev."""
    sys.mount("tmpfs", "dev", "tmpfs", sys.MS_NOSUID | sys.MS_NOEXEC, "size=64k,mode=755")
    for name in DEVICES:
        _touch(f"dev/{name}")
        _bind(f"/dev/{name}", f"dev/{name}", sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NOEXEC)
    for name, rest in LINKS.items():
        os.symlink(f"/proc/self/fd{rest}", f"dev/{name}")
    os.mkdir("dev/shm")
    sys.mount("tmpfs", "dev/shm", "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, "size=64m,mode=1777")
    _set_read_only("dev")


def _cover_proc() -> None:
    """Take away what real root could change or read there.

    Not for an ordinary user, who can change nothing there: the kernel lets nested containers mount
    a fresh /proc only where a whole one can be seen.
    """
    for name in PROC_READ_ONLY:
        path = f"proc/{name}"
        if os.path.exists(path):
            _bind(path, path, _PLAIN | sys.MOUNT_ATTR_NOEXEC | sys.MOUNT_ATTR_RDONLY)
    for name in PROC_HIDDEN:
        path = f"proc/{name}"
        if os.path.isdir(path):
            flags = sys.MS_RDONLY | sys.MS_NOSUID | sys.MS_NODEV
            sys.mount("tmpfs", path, "tmpfs", flags, "size=4k,mode=555")
        elif os.path.exists(path):
            _bind("/dev/null", path, sys.MOUNT_ATTR_RDONLY)


def _furnish(place: Place) -> None:
    is_directory = not place.source or os.path.isdir(place.source)
    target = _open_target(place.target, is_directory=is_directory)
    read_only = sys.MOUNT_ATTR_RDONLY if place.read_only else 0
    try:
        if place.source:
            _bind(place.source, target, _PLAIN | read_only)
        else:
            size = "" if place.size_bytes is None else f",size={place.size_bytes}"
            flags = sys.MS_NOSUID | sys.MS_NODEV | (sys.MS_RDONLY if place.read_only else 0)
            path = f"/proc/self/fd/{target}"
            sys.mount("tmpfs", path, "tmpfs", flags, f"mode={place.mode:o}{size}")
    finally:
        os.close(target)


def _open_target(target: str, *, is_directory: bool) -> int:
    """Return a descriptor of the target below the new root, made where it isn't there."""
    *parents, last = [part for part in target.split("/") if part]
    descriptor = os.open(".", _PATH | os.O_DIRECTORY)
    for name in parents:
        descriptor = _step(descriptor, name, is_directory=True)
    return _step(descriptor, last, is_directory=is_directory)


def _step(parent: int, name: str, *, is_directory: bool) -> int:
    """Go one name further; the parent's descriptor is closed."""
    try:
        with suppress(FileExistsError):
            if is_directory:
                os.mkdir(name, 0o755, dir_fd=parent)
            else:
                _touch(name, dir_fd=parent)
        return os.open(name, _PATH | (os.O_DIRECTORY if is_directory else 0), dir_fd=parent)
    finally:
        os.close(parent)


def _bind(source: str, target: str | int, attributes: int) -> None:
    tree = sys.open_tree(source, _DETACHED)
    try:
        sys.mount_setattr(tree, attr_set=attributes)
        sys.move_mount(tree, target)
    finally:
        os.close(tree)


def _set_read_only(path: str) -> None:
    descriptor = os.open(path, _PATH | os.O_DIRECTORY)
    try:
        sys.mount_setattr(descriptor, attr_set=sys.MOUNT_ATTR_RDONLY, recursive=False)
    finally:
        os.close(descriptor)


def _touch(path: str, dir_fd: int | None = None) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o644, dir_fd=dir_fd))
