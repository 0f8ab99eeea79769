"""Loop devices that nobody has to free: each goes with the last thing that holds it.

A device is attached with LO_FLAGS_AUTOCLEAR and held by a descriptor of the agent's, so that its
number can't become somebody else's while the extension has a node for it, and so that it is freed
however the agent ends. https://man7.org/linux/man-pages/man4/loop.4.html
"""

import errno
import fcntl
import os
import stat
import struct
import time
from contextlib import suppress

from containerdeploy import syscalls
from containerdeploy.agent import layers
from containerdeploy.frozen import frozen

PLACE = f"{layers.PLACE}/loops"
SHOWN = f"{PLACE}/shown"  # to the extension
NODES = f"{SHOWN}/dev"
CONTROL = f"{PLACE}/control"
MAJOR = 7
CONTROL_DEVICE = os.makedev(10, 237)
GET_FREE, CONFIGURE, GET_STATUS64 = 0x4C82, 0x4C0A, 0x4C05
READ_ONLY, AUTOCLEAR = 1, 4
INFO = "=QQQQQIIII64s64s32sQQ"  # struct loop_info64
TRIES = 20
NODE_MODE = 0o660
IDLE_S = 10.0
POLL_S = 0.02


@frozen
class Loop:
    """An attached device: the extension knows it as /dev/loop`slot`, the kernel by `number`."""

    slot: int
    number: int
    descriptor: int
    node: str
    name: str
    read_only: bool


def prepare() -> None:
    """Mount a small file system where device nodes work; it goes with the agent."""
    os.makedirs(PLACE, 0o755, exist_ok=True)
    flags = syscalls.MS_NOSUID | syscalls.MS_NOEXEC
    syscalls.mount("tmpfs", PLACE, "tmpfs", flags, "size=256k,mode=755")
    os.makedirs(NODES, 0o755)
    os.mknod(CONTROL, stat.S_IFCHR | 0o600, CONTROL_DEVICE)


def attach(
    image: int, *, slot: int, owner: int, name: str, span: tuple[int, int], mode: int
) -> Loop:
    """Attach the open file `image` to a free device; `span` is (offset, limit), 0 for no limit.

    `owner` gets a node for it, `mode` READ_ONLY or 0. Raises OSError.
    """
    node = f"{NODES}/{slot}"
    for _ in range(TRIES):
        number = _free()
        os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(MAJOR, number))
        try:
            descriptor = _configured(node, image, number, span, mode)
        except BaseException:
            os.unlink(node)
            raise
        if descriptor is not None:
            os.chown(node, owner, owner)
            os.chmod(node, NODE_MODE)
            return Loop(
                slot=slot,
                number=number,
                descriptor=descriptor,
                node=node,
                name=name,
                read_only=bool(mode & READ_ONLY),
            )
        os.unlink(node)  # somebody else was faster
    raise OSError(errno.EBUSY, "no loop device could be had")


def release(loop: Loop) -> None:
    """Take the node away, write out what is left, and let the device go with its last user."""
    with suppress(FileNotFoundError):
        os.unlink(loop.node)
    try:
        if not loop.read_only:
            os.fsync(loop.descriptor)
    finally:
        os.close(loop.descriptor)


def await_idle(loop: Loop) -> bool:
    """Wait until no file system is mounted from the device; False when one still is."""
    deadline = time.monotonic() + IDLE_S
    while time.monotonic() < deadline:
        try:
            os.close(os.open(loop.node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as err:
            if err.errno != errno.EBUSY:
                return True
            time.sleep(POLL_S)
        else:
            return True
    return False


def _free() -> int:
    """Ask the kernel for a free device's number; it makes one if all are in use."""
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, GET_FREE)
    finally:
        os.close(control)


def _configured(node: str, image: int, number: int, span: tuple[int, int], mode: int) -> int | None:
    """Return a descriptor of the device with the image attached, None if it is not free."""
    descriptor = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    try:
        offset, limit = span
        info = struct.pack(
            INFO, 0, 0, 0, offset, limit, 0, 0, 0, AUTOCLEAR | mode, b"", b"", b"", 0, 0
        )
        fcntl.ioctl(descriptor, CONFIGURE, struct.pack("=II", image, 0) + info + bytes(64))
        found = bytearray(struct.calcsize(INFO))
        fcntl.ioctl(descriptor, GET_STATUS64, found)
        if struct.unpack(INFO, found)[5] != number:
            raise OSError(errno.ENODEV, f"loop device {number} has another minor number here")
    except OSError as err:
        os.close(descriptor)
        if err.errno == errno.EBUSY:
            return None
        raise
    return descriptor
