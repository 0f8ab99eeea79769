"""Mounts a loop device's file system into an extension's room, and takes it out again.

The extension's root may not mount, so a child of the agent goes into the room and does it. The
mount shows plain ids as the extension's own, knows neither device nodes nor setuid bits, and has no
place outside the room: it ends with the room's last process.
"""

import os
from collections.abc import Callable
from typing import NoReturn

from containerdeploy import syscalls
from containerdeploy.agent.failures import told
from containerdeploy.agent.identity import Identity

# The kernel reads an image that the extension can write, so few and much used ones. `ext4` reads
# all three; without `errors` the image itself could ask for a panic of the host.
ALWAYS = {"ext4": ("errors=remount-ro",), "btrfs": (), "vfat": ("errors=remount-ro",)}
DRIVERS = {"ext2": "ext4", "ext3": "ext4", "ext4": "ext4", "btrfs": "btrfs", "vfat": "vfat"}
MAGIC = (
    ("ext4", 0x438, b"\x53\xef"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("vfat", 0x36, b"FAT"),
    ("vfat", 0x52, b"FAT32"),
)
FLAGS = {"ro": syscalls.MS_RDONLY, "noatime": 1024, "nodiratime": 2048, "sync": 16}
MEANINGLESS = ("rw", "defaults", "loop", "nosuid", "nodev", "relatime", "exec", "dev", "suid")
OWN = {"btrfs": ("compress", "compress-force", "subvol", "subvolid", "nodatacow", "ssd")}
PLACES = ("/var/tmp", "/tmp", "/run", "/root", "/mnt", "/srv", "/tree", "/output", "/parent")
STAGE = "/mnt"
BENEATH = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


class Refused(Exception):
    """A mount that is not done; the text is for the extension's log."""


def probe(device: int) -> str:
    """Return the driver for the file system on a device; raise Refused for one we don't mount."""
    for driver, offset, magic in MAGIC:
        if os.pread(device, len(magic), offset) == magic:
            return driver
    raise Refused(f"no file system that is known here: {', '.join(ALWAYS)}")


def arguments(fstype: str, options: list[str]) -> tuple[int, str]:
    """Return mount flags and data; raise Refused for what has no place on the short list."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    data = list(ALWAYS[fstype])
    for option in options:
        name = option.partition("=")[0]
        if option in FLAGS:
            flags |= FLAGS[option]
        elif name in OWN.get(fstype, ()):
            data.append(option)
        elif option not in MEANINGLESS:
            raise Refused(f"the option {option!r} is not allowed for {fstype}")
    return flags, ",".join(data)


def check_place(target: str) -> None:
    """Refuse a mount point outside of what extensions use."""
    if os.path.normpath(target) != target or not any(
        target == place or target.startswith(f"{place}/") for place in PLACES
    ):
        raise Refused(f"{target}: mount below {', '.join(PLACES[:5])} or the tree")


def mount(
    room: int, identity: Identity, source: str, target: str, fstype: str, options: list[str]
) -> int:
    """Mount `source`, a path of the room, at `target` there; return the file system's st_dev.

    `room` is a descriptor of the room's mount namespace.
    """
    check_place(target)
    flags, data = arguments(fstype, options)

    def graft() -> int:
        syscalls.setns(room, syscalls.CLONE_NEWNS)
        point = syscalls.openat2(_root(), target.lstrip("/"), FOLDER, resolve=BENEATH)
        # Out of the extension's sight for as long as it shows real ids.
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(source, STAGE, fstype, flags, data)
        tree = syscalls.open_tree(STAGE)
        syscalls.mount_setattr(
            tree, attr_set=syscalls.MOUNT_ATTR_IDMAP, userns_fd=identity.descriptor
        )
        syscalls.setns(room, syscalls.CLONE_NEWNS)
        syscalls.move_mount(tree, point)
        return os.fstat(tree).st_dev

    return _in_child(graft)


def unmount(room: int, target: str, device: int) -> None:
    """Unmount what `mount` mounted at `target`; raise OSError, EBUSY while something uses it."""

    def prune() -> int:
        syscalls.setns(room, syscalls.CLONE_NEWNS)
        parent, _, name = target.rpartition("/")
        os.fchdir(syscalls.openat2(_root(), parent.lstrip("/") or ".", FOLDER, resolve=BENEATH))
        # A name that something is mounted on can't be renamed, so this is what will be unmounted.
        if os.stat(name, follow_symlinks=False).st_dev != device:
            raise FileNotFoundError(2, f"nothing of ours is mounted at {target}")
        syscalls.umount(name, syscalls.UMOUNT_NOFOLLOW)
        return 0

    _in_child(prune)


def _root() -> int:
    return os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _in_child(action: Callable[[], int]) -> int:
    """Run `action` in a forked child, whose namespaces may change; raise OSError if it fails."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(write, action)
    os.close(write)
    try:
        answer = os.read(read, 4096).decode(errors="replace")
    finally:
        os.close(read)
        os.waitpid(child, 0)
    code, _, rest = answer.partition(" ")
    if code == "0":
        return int(rest)
    raise OSError(int(code or 5), rest or "the mount's process died")


def _answer(write: int, action: Callable[[], int]) -> NoReturn:
    """Send what `action` returns as `0 RESULT`, or `ERRNO WORDS`, and end."""
    try:
        text = f"0 {action()}"
    except OSError as err:
        text = f"{err.errno or 5} {os.strerror(err.errno or 5)}"
    except BaseException as err:
        text = f"5 {told(err)}"
    try:
        os.write(write, text.encode(errors="replace")[:4000])
    finally:
        os._exit(0)
