"""Becoming the host's root: kernel settings and pseudo file systems."""

import ctypes
import errno
import itertools
import mmap
import os
import resource
from collections.abc import Iterable, Iterator

from tools import Untried, attack, call, can_write, checked, libc, mounted, private

GROUP = "the host"
MAP_FIXED_NOREPLACE = 0x100000


@attack
def core_pattern() -> object:
    return can_write("/proc/sys/kernel/core_pattern")


@attack
def core_pattern_of_a_fresh_proc() -> object:
    return can_write(f"{mounted('proc')}/sys/kernel/core_pattern")


@attack
def core_pattern_below_the_cover() -> object:
    private()
    checked(libc.umount2(b"/proc/sys", 2), "umount")
    return can_write("/proc/sys/kernel/core_pattern")


@attack
def core_dumps_for_a_program_of_the_hosts() -> object:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


@attack
def core_dumps_by_a_far_pointer() -> object:
    """The same with an address whose lower half is zero, which a filter could take for none."""
    at = 1 << 32
    libc.mmap.restype = ctypes.c_void_p
    fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
    place = libc.mmap(ctypes.c_void_p(at), 4096, mmap.PROT_READ | mmap.PROT_WRITE, fixed, -1, 0)
    if place != at:
        raise Untried("that address is taken")
    call("prlimit64", 0, resource.RLIMIT_CORE, at, 0)
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


@attack
def modprobe_path() -> object:
    return can_write("/proc/sys/kernel/modprobe")


@attack
def sysrq() -> object:
    return can_write("/proc/sysrq-trigger")


@attack
def binfmt_misc() -> object:
    return can_write(f"{mounted('binfmt_misc')}/register")


def groups() -> list[str]:
    """Return where control groups can be seen, on mounts of our own where there are none."""
    with open("/proc/self/mountinfo") as stream:
        rows = [row.split() for row in stream]
    seen = [row[4] for row in rows if row[row.index("-") + 1] in ("cgroup", "cgroup2")]
    kinds = (("cgroup", "memory"), ("cgroup", "pids"), ("cgroup2", ""))
    for kind, data in kinds:
        try:
            seen.append(mounted(kind, data=data))
        except OSError as err:
            if not seen and (kind, data) == kinds[-1]:
                raise err
    return seen


@attack
def release_agent() -> object:
    """Version 1 runs a program of the host's when a group is empty."""
    place = next((one for one in groups() if os.path.exists(f"{one}/release_agent")), None)
    if place is None:
        raise Untried("no control groups of version 1 here that begin at their root")
    return can_write(f"{place}/release_agent")


@attack
def leave_the_control_group() -> object:
    return first_writable(f"{place}/cgroup.procs" for place in groups())


@attack
def lift_its_own_limits() -> object:
    names = ("memory.limit_in_bytes", "pids.max", "memory.max")
    return first_writable(f"{place}/{name}" for place in groups() for name in names)


@attack
def cgroup_v1() -> object:
    return os.listdir(mounted("cgroup", data="memory"))[:3]


@attack
def cgroup_v2() -> object:
    return os.listdir(mounted("cgroup2"))[:3]


@attack
def uevent_helper() -> object:
    return can_write("/sys/kernel/uevent_helper")


@attack
def uevent_helper_of_a_fresh_sys() -> object:
    return can_write(f"{mounted('sysfs')}/kernel/uevent_helper")


@attack
def sysfs() -> object:
    return os.listdir(mounted("sysfs"))[:3]


@attack
def debugfs() -> object:
    return os.listdir(mounted("debugfs"))[:3]


@attack
def tracefs() -> object:
    return os.listdir(mounted("tracefs"))[:3]


@attack
def devtmpfs() -> object:
    return os.listdir(mounted("devtmpfs"))[:3]


@attack
def other_file_systems() -> object:
    """Mount whatever this kernel has that needs no disk."""
    with open("/proc/filesystems") as stream:
        kinds = [row.split()[1] for row in stream if row.startswith("nodev")]
    refused = OSError(errno.ENODEV, "no file systems")
    for kind in kinds:
        try:
            return f"{kind} on {mounted(kind)}"
        except OSError as err:
            refused = err
    raise refused


@attack
def settings_of_the_kernel() -> object:
    return first_writable(files_below("/proc/sys"))


@attack
def settings_beside_them() -> object:
    roots = ("irq", "bus", "fs", "acpi", "scsi", "driver", "tty")
    return first_writable(path for root in roots for path in files_below(f"/proc/{root}"))


@attack
def addresses_of_the_kernel() -> object:
    with open("/proc/kallsyms") as stream:
        row = stream.readline()
    return row if int(row.split()[0] if row else "0", 16) else None


@attack
def keys_of_others() -> object:
    with open("/proc/keys") as stream:
        return stream.read(80) or None


@attack
def kernel_memory() -> object:
    with open("/proc/kcore", "rb") as stream:
        return stream.read(4) or None


@attack
def kernel_log() -> object:
    return call("syslog", 10, None, 0)


@attack
def writable_sys() -> object:
    return first_writable(files_below("/sys"))


def files_below(root: str) -> Iterator[str]:
    for directory, folders, names in os.walk(root):
        folders.sort()
        yield from (os.path.join(directory, name) for name in sorted(names)[:50])


def first_writable(paths: Iterable[str]) -> str | None:
    """Open and close, no more; not too many, for there are very many."""
    wanted = (path for path in paths if os.access(path, os.W_OK))
    for path in itertools.islice(wanted, 200):
        try:
            return can_write(path)
        except OSError:
            continue
    return None
