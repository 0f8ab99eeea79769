"""Becoming the host's root: kernel settings, pseudo file systems, devices, disks."""

import os
import stat

from tools import (
    attack,
    call,
    can_write,
    checked,
    libc,
    mount,
    mounted,
    private,
    scratch,
)

GROUP = "the host"


@attack
def core_pattern() -> object:
    return can_write("/proc/sys/kernel/core_pattern")


@attack
def core_pattern_of_a_fresh_proc() -> object:
    return can_write(f"{mounted('proc')}/sys/kernel/core_pattern")


@attack
def core_pattern_below_the_cover() -> object:
    private()
    for _ in range(3):
        checked(libc.umount2(b"/proc/sys", 2), "umount")
    return can_write("/proc/sys/kernel/core_pattern")


@attack
def modprobe_path() -> object:
    return can_write("/proc/sys/kernel/modprobe")


@attack
def sysrq() -> object:
    return can_write("/proc/sysrq-trigger")


@attack
def binfmt_misc() -> object:
    return can_write(f"{mounted('binfmt_misc')}/register")


@attack
def release_agent() -> object:
    return can_write(f"{mounted('cgroup', data='memory')}/release_agent")


@attack
def cgroup_v1() -> object:
    return os.listdir(mounted("cgroup", data="memory"))[:3]


@attack
def cgroup_v2() -> object:
    return os.listdir(mounted("cgroup2"))[:3]


@attack
def uevent_helper() -> object:
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
def kernel_memory() -> object:
    with open("/proc/kcore", "rb") as stream:
        return stream.read(4) or None


@attack
def kernel_log() -> object:
    return call("syslog", 10, None, 0)


@attack
def writable_sys() -> object:
    found = [
        os.path.join(directory, name)
        for directory, _, names in os.walk("/sys")
        for name in names
        if os.access(os.path.join(directory, name), os.W_OK)
    ]
    return [path for path in found[:50] if can_write(path)][:1] or None


def device(kind: int, major: int, minor: int) -> str:
    """Make a device node, on a file system of our own if we can mount one."""
    try:
        place = mounted("tmpfs")
    except OSError:
        place = scratch()
    path = f"{place}/device"
    os.mknod(path, 0o600 | kind, os.makedev(major, minor))
    return path


def host_disks() -> list[tuple[int, int]]:
    with open("/proc/self/mountinfo") as stream:
        numbers = {row.split()[2] for row in stream}
    found = [tuple(map(int, one.split(":"))) for one in numbers]
    return [(major, minor) for major, minor in found if major]


@attack
def make_a_device() -> object:
    return device(stat.S_IFCHR, 1, 3)


@attack
def make_a_device_in_the_tree() -> object:
    os.mknod("/tree/device-node", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    return "made"


@attack
def open_the_hosts_disk() -> object:
    for major, minor in host_disks():
        os.close(os.open(device(stat.S_IFBLK, major, minor), os.O_RDONLY))
        return f"opened {major}:{minor}"
    return None


@attack
def mount_the_hosts_disk() -> object:
    for major, minor in host_disks():
        path, place = device(stat.S_IFBLK, major, minor), scratch()
        for kind in ("ext4", "xfs", "btrfs"):
            try:
                mount(path, place, kind)
            except OSError:
                continue
            return sorted(os.listdir(place))[:5]
    return None


@attack
def open_memory_and_other_devices() -> object:
    for major, minor in ((1, 1), (1, 2), (10, 232), (10, 229), (10, 237), (7, 0), (5, 1)):
        try:
            os.close(os.open(device(stat.S_IFCHR, major, minor), os.O_RDWR | os.O_NONBLOCK))
        except OSError:
            continue
        return f"opened {major}:{minor}"
    return None
