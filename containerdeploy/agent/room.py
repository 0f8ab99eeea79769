"""The root that a confined process sees: the helper's tools read-only, its inputs, nothing else.

Everything here runs in a child that has a mount namespace of its own; what it mounts goes with it.
"""

import os
import stat

from containerdeploy import syscalls as sys
from containerdeploy import wire
from containerdeploy.agent import clones
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
    """A directory or file of the agent's world at `target` of the room; `devices` work there.

    `kept` is the directory where the agent finds what the step writes to it.
    """

    source: str
    target: str
    read_only: bool = True
    devices: bool = False
    kept: str = ""


@frozen
class Room:
    """What a confined process sees beside the tools; `owner` is the id its own places belong to.

    `for_real_root` covers more of /proc: all that the host's root could change.
    """

    binds: tuple[Bind, ...] = ()
    owner: int = 0
    proc: bool = True
    for_real_root: bool = False
    resolver: bool = False
    cwd: str = "/"
    loop_devices: int = 0
    directories: tuple[str, ...] = ()


def enter(room: Room) -> int:
    """Make the room, move in, throw the old root away.

    Returns a descriptor of the still writable /proc/sys/user (a new user namespace sets its own
    limits through it), or -1 without /proc and for real root. Raises OSError.
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
    user_limits = -1
    if room.proc and room.for_real_root:
        _proc_of_root()
    elif room.proc:
        user_limits = _proc()
    os.chdir(ROOT)
    sys.pivot_root(".", ".")
    sys.umount(".", sys.MNT_DETACH)
    os.chdir("/")
    clones.change("/", sys.MOUNT_ATTR_RDONLY)
    os.umask(0o022)
    return user_limits


def _lay_tools() -> None:
    for name in TOOLS:
        path = f"/{name}"
        if os.path.islink(path):
            os.symlink(os.readlink(path), ROOT + path)
        elif os.path.isdir(path):
            os.mkdir(ROOT + path)
            clones.show(
                path, ROOT + path, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NODEV, recursive=False
            )


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
        # Nobody may change their owners and modes, which can be the host's; they work all the same.
        clones.show(f"/dev/{name}", f"{dev}/{name}", sys.MOUNT_ATTR_RDONLY, recursive=False)
    for name, rest in LINKS.items():
        os.symlink(f"/proc/self/fd{rest}", f"{dev}/{name}")
    for number in range(loop_devices):  # there as soon as one is attached
        os.symlink(f"{wire.LOOPS}/dev/{number}", f"{dev}/loop{number}")
    os.mkdir(f"{dev}/shm")
    options = f"{SMALL_TMPFS},uid={owner},gid={owner},mode=1777"
    sys.mount("tmpfs", f"{dev}/shm", "tmpfs", flags, options)
    clones.change(dev, sys.MOUNT_ATTR_RDONLY)


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
    clones.show(bind.source, target, attributes, recursive=False)


def _proc() -> int:
    """A fresh /proc, its dangerous parts read-only or covered; before the old root is detached.

    An ordinary user may only mount it while a whole one can still be seen.
    """
    proc = f"{ROOT}/proc"
    sys.mount("proc", proc, "proc", sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC)
    user_limits = os.open(f"{proc}/sys/user", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in PROC_READ_ONLY:
        _protect(f"{proc}/{name}")
    for name in PROC_HIDDEN:
        _cover(f"{proc}/{name}")
    return user_limits


def _proc_of_root() -> None:
    """A fresh /proc for the host's own root, who may change whatever is there and not a process's.

    What only root may read is covered, known today or not, and all the rest is read-only.
    """
    proc = f"{ROOT}/proc"
    sys.mount("proc", proc, "proc", sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC)
    for name in os.listdir(proc):
        path = f"{proc}/{name}"
        if name.isdecimal() or os.path.islink(path):
            continue
        if name in PROC_HIDDEN or not os.stat(path).st_mode & stat.S_IROTH:
            _cover(path)
        else:
            _protect(path)


def _protect(path: str) -> None:
    if os.path.exists(path):
        attributes = sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NODEV
        clones.show(path, path, attributes, recursive=False)


def _cover(path: str) -> None:
    if os.path.isdir(path):
        flags = sys.MS_RDONLY | sys.MS_NOSUID | sys.MS_NODEV
        sys.mount("tmpfs", path, "tmpfs", flags, "size=4k,mode=555")
    elif os.path.exists(path):
        clones.show("/dev/null", path, sys.MOUNT_ATTR_RDONLY, recursive=False)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
