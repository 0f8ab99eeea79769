"""Device nodes: the host's disks, memory, and doors into its kernel."""

import os
import stat

from tools import Untried, attack, mount, mounted, scratch

GROUP = "devices"


def device(kind: int, major: int, minor: int) -> str:
    """Make a device node, on a file system of our own if we can mount one."""
    try:
        place = mounted("tmpfs")
    except OSError:
        place = scratch()
    path = f"{place}/device"
    os.mknod(path, 0o600 | kind, os.makedev(major, minor))
    return path


def opened(kind: int, major: int, minor: int) -> str:
    os.close(os.open(device(kind, major, minor), os.O_RDWR | os.O_NONBLOCK))
    return f"opened {major}:{minor}"


def host_disks() -> list[tuple[int, int]]:
    with open("/proc/self/mountinfo") as stream:
        numbers = {row.split()[2] for row in stream}
    found = [tuple(map(int, one.split(":"))) for one in numbers]
    disks = [(major, minor) for major, minor in found if major]
    if not disks:
        raise Untried("no mount here shows a disk of the host")
    return disks


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
def memory_of_the_machine() -> object:
    return opened(stat.S_IFCHR, 1, 1)


@attack
def ports_of_the_machine() -> object:
    return opened(stat.S_IFCHR, 1, 4)


@attack
def messages_of_the_kernel() -> object:
    return opened(stat.S_IFCHR, 1, 11)


@attack
def virtual_machines() -> object:
    return opened(stat.S_IFCHR, 10, 232)


@attack
def file_systems_in_user_space() -> object:
    """A process that waits for one of these can't be killed by a step's end."""
    return opened(stat.S_IFCHR, 10, 229)


@attack
def loop_control() -> object:
    return opened(stat.S_IFCHR, 10, 237)


@attack
def loop_device() -> object:
    return opened(stat.S_IFBLK, 7, 0)


@attack
def network_tunnel() -> object:
    return opened(stat.S_IFCHR, 10, 200)


@attack
def console() -> object:
    return opened(stat.S_IFCHR, 5, 1)


@attack
def terminal_of_the_machine() -> object:
    return opened(stat.S_IFCHR, 4, 1)


@attack
def device_nodes_in_sight() -> object:
    """Beyond the few that programs count on."""
    known = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}
    for directory, _, names in os.walk("/dev"):
        for path in (os.path.join(directory, name) for name in names):
            found = os.lstat(path)
            number = (os.major(found.st_rdev), os.minor(found.st_rdev))
            if stat.S_IFMT(found.st_mode) in (stat.S_IFBLK, stat.S_IFCHR) and number not in known:
                return path
    return None
