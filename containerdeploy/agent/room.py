"""The root that a confined process sees: the helper's tools read-only, its inputs, nothing else.

Everything here runs in a child that has a mount namespace of its own; what it mounts goes with it.
"""

import os

from containerdeploy import syscalls as sys
from containerdeploy import wire
from containerdeploy.frozen import frozen

ROOT = "/run/containerdeploy/root"
TOOLS = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt")
DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
EMPTY_DIRECTORIES = ("proc", "dev", "run", "tmp", "var", "var/tmp", "root", "sys", "mnt", "srv")
RESOLVER_FILES = ("/etc/resolv.conf", "/etc/hosts")
PROC_READ_ONLY = ("sys", "irq", "bus", "fs", "acpi", "scsi", "sysrq-trigger", "mtrr")
PROC_HIDDEN = (
    "kcore keys key-users timer_list sched_debug kmsg kallsyms latency_stats vmallocinfo "
    "config.gz iomem ioports slabinfo zoneinfo pagetypeinfo vmstat modules interrupts"
).split()
SMALL_TMPFS = "size=64m,nr_inodes=65536"


@frozen
class Bind:
    """A directory or file of the agent's world at `target` of the room; `devices` work there."""

    source: str
    target: str
    read_only: bool = True
    devices: bool = False


@frozen
class Room:
    """What a confined process sees beside the tools; `owner` is the id its own places belong to."""

    binds: tuple[Bind, ...] = ()
    owner: int = 0
    proc: bool = True
    resolver: bool = False
    cwd: str = "/"
    loop_devices: int = 0
    directories: tuple[str, ...] = ()


def enter(room: Room) -> int:
    """Make the room, move in, throw the old root away.

    Returns a descriptor of the still writable /proc/sys/user (a new user namespace sets its own
    limits through it), or -1 without /proc. Raises OSError.
    """
    os.umask(0)
    sys.mount(None, "/", None, sys.MS_REC | sys.MS_PRIVATE)
    sys.mount("tmpfs", ROOT, "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, "size=1m,mode=755")
    _lay_tools()
    for name in EMPTY_DIRECTORIES:
        os.mkdir(f"{ROOT}/{name}", 0o755)
    _furnish(room.owner, room.loop_devices)
    for bind in room.binds:
        _bind(bind)
    if room.resolver:
        for path in filter(os.path.exists, RESOLVER_FILES):
            _bind(Bind(source=os.path.realpath(path), target=path))
    user_limits = _proc() if room.proc else -1
    os.chdir(ROOT)
    sys.pivot_root(".", ".")
    sys.umount(".", sys.MNT_DETACH)
    os.chdir("/")
    _set_read_only("/", recursive=False)
    os.umask(0o022)
    return user_limits


def _lay_tools() -> None:
    for name in TOOLS:
        path = f"/{name}"
        if os.path.islink(path):
            os.symlink(os.readlink(path), ROOT + path)
        elif os.path.isdir(path):
            os.mkdir(ROOT + path)
            _clone(path, ROOT + path, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NODEV)


def _furnish(owner: int, loop_devices: int) -> None:
    """Private, small, writable places, and the few devices that programs count on."""
    flags = sys.MS_NOSUID | sys.MS_NODEV
    for path, mode in (("/tmp", "1777"), ("/run", "755"), ("/root", "700")):
        options = f"{SMALL_TMPFS},uid={owner},gid={owner},mode={mode}"
        sys.mount("tmpfs", ROOT + path, "tmpfs", flags, options)
    sys.mount("tmpfs", f"{ROOT}/sys", "tmpfs", flags | sys.MS_RDONLY, "size=4k,mode=555")
    dev = f"{ROOT}/dev"
    sys.mount("tmpfs", dev, "tmpfs", sys.MS_NOSUID | sys.MS_NOEXEC, "size=64k,mode=755")
    for name in DEVICES:
        _touch(f"{dev}/{name}")
        _clone(f"/dev/{name}", f"{dev}/{name}", 0)
    for name, rest in LINKS.items():
        os.symlink(f"/proc/self/fd{rest}", f"{dev}/{name}")
    for number in range(loop_devices):  # there as soon as one is attached
        os.symlink(f"{wire.LOOPS}/dev/{number}", f"{dev}/loop{number}")
    os.mkdir(f"{dev}/shm")
    options = f"{SMALL_TMPFS},uid={owner},gid={owner},mode=1777"
    sys.mount("tmpfs", f"{dev}/shm", "tmpfs", flags, options)
    _set_read_only(dev, recursive=False)


def _bind(bind: Bind) -> None:
    target = ROOT + bind.target
    if not os.path.lexists(target):
        if os.path.isdir(bind.source):
            os.makedirs(target, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            _touch(target)
    attributes = 0 if bind.devices else sys.MOUNT_ATTR_NODEV
    if bind.read_only:
        attributes |= sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID
    _clone(bind.source, target, attributes)


def _clone(source: str, target: str, attributes: int) -> None:
    """Bind by descriptor: attributes are set before anything can be reached through the mount."""
    tree = sys.open_tree(source, sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC)
    try:
        sys.mount_setattr(tree, attr_set=attributes, recursive=False)
        sys.move_mount(tree, target)
    finally:
        os.close(tree)


def _set_read_only(path: str, *, recursive: bool) -> None:
    tree = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sys.mount_setattr(tree, attr_set=sys.MOUNT_ATTR_RDONLY, recursive=recursive)
    finally:
        os.close(tree)


def _proc() -> int:
    """A fresh /proc, its dangerous parts read-only or covered; before the old root is detached.

    An ordinary user may only mount it while a whole one can still be seen.
    """
    proc = f"{ROOT}/proc"
    sys.mount("proc", proc, "proc", sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC)
    user_limits = os.open(f"{proc}/sys/user", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in PROC_READ_ONLY:
        path = f"{proc}/{name}"
        if os.path.exists(path):
            _clone(path, path, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NODEV)
    for name in PROC_HIDDEN:
        path = f"{proc}/{name}"
        if os.path.exists(path):
            _clone("/dev/null", path, sys.MOUNT_ATTR_RDONLY)
    return user_limits


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
