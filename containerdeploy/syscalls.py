"""The kernel's calls that Python's standard library lacks, on x86_64 and aarch64.

Every function raises OSError with the call's name, the kernel's errno and, where there is one, the
path. Meanings and flags are those of the kernel's own manual pages, section 2.
"""

import ctypes
import errno
import fcntl
import functools
import os
import struct
import sys

from containerdeploy.syscall_numbers import CAPABILITIES as CAPABILITIES
from containerdeploy.syscall_numbers import NUMBERS

AnyPath = str | bytes | os.PathLike[str]

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x100000

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOVE_MOUNT_T_EMPTY_PATH = 64

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

SECBIT_NOROOT = 1
SECBIT_NO_SETUID_FIXUP = 4

MAX_DESCRIPTOR = 0xFFFFFFFF
"""The `last` of close_range that stands for all there are."""

_SECCOMP_SET_MODE_FILTER = 1
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_AF_INET, _SOCK_DGRAM = 2, 2  # the socket and signal modules take longer to load than all of this
_SIG_SETMASK, _UNCATCHABLE = 2, (9, 19)

_Argument = int | bytes | ctypes.Array[ctypes.c_char] | None


def mount(
    source: AnyPath | None,
    target: AnyPath,
    fstype: str | None,
    flags: int = 0,
    data: bytes | str | None = None,
) -> None:
    """Mount `source` on `target`, or change what is mounted there."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, fstype, data)]
    _call("mount", *words[:3], flags, words[3], path=target)


def umount(target: AnyPath, flags: int = 0) -> None:
    """Unmount what is mounted last on `target`."""
    _call("umount2", os.fsencode(target), flags, path=target)


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` (CLONE_NEW*) name for new ones."""
    _call("unshare", flags)


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter the namespace that `descriptor` refers to; `kind` (CLONE_NEW*) checks its type."""
    _call("setns", descriptor, kind)


def pivot_root(new: AnyPath, old: AnyPath) -> None:
    """Make `new` the root and put the root so far on `old`, which may be `new` itself."""
    _call("pivot_root", os.fsencode(new), os.fsencode(old), path=new)


def open_tree(
    path: AnyPath,
    flags: int = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE,
    dir_fd: int = AT_FDCWD,
) -> int:
    """Return a descriptor of the mount at `path`, by default of a detached copy with all below."""
    return _call("open_tree", dir_fd, os.fsencode(path), flags, path=path)


def move_mount(from_fd: int, target: AnyPath | int) -> None:
    """Attach the detached mount `from_fd` (from `open_tree`) at a path or at a descriptor."""
    flags = MOVE_MOUNT_F_EMPTY_PATH
    if isinstance(target, int):
        _call("move_mount", from_fd, b"", target, b"", flags | MOVE_MOUNT_T_EMPTY_PATH)
    else:
        _call("move_mount", from_fd, b"", AT_FDCWD, os.fsencode(target), flags, path=target)


def mount_setattr(
    descriptor: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    userns_fd: int = 0,
    propagation: int = 0,
    recursive: bool = True,
) -> None:
    """Change the mount `descriptor` (from `open_tree`): MOUNT_ATTR_*, id mapping, propagation."""
    attributes = _buffer(struct.pack("QQQQ", attr_set, attr_clr, propagation, userns_fd))
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _call("mount_setattr", descriptor, b"", flags, attributes, len(attributes))


def openat2(dir_fd: int, path: AnyPath, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open `path` below `dir_fd` as `resolve` (RESOLVE_*) allows; O_CLOEXEC is always added."""
    how = _buffer(struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve))
    return _call("openat2", dir_fd, os.fsencode(path), how, len(how), path=path)


def prctl(option: int, *arguments: int) -> int:
    """Ask or change a property of the calling process (PR_*); return the call's answer."""
    return _call("prctl", option, *arguments, *[0] * (4 - len(arguments)))


def set_pdeathsig(signal: int) -> None:
    """Have the kernel send `signal` when the thread that forked this process ends."""
    prctl(PR_SET_PDEATHSIG, signal)


def set_no_new_privs() -> None:
    """Let no execve raise privileges any more, for this process and all it starts."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(is_dumpable: bool) -> None:
    """Allow or refuse core dumps of, and ptrace and /proc access to, this process."""
    prctl(PR_SET_DUMPABLE, int(is_dumpable))


def drop_bounding(capability: int) -> None:
    """Remove a capability from the bounding set; EINVAL when the kernel doesn't know it."""
    prctl(PR_CAPBSET_DROP, capability)


def set_securebits(bits: int) -> None:
    """Set the SECBIT_* flags of the calling thread."""
    prctl(PR_SET_SECUREBITS, bits)


def set_child_subreaper() -> None:
    """Become the parent of orphaned descendants."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def setfsuid(uid: int) -> None:
    """Set the user id for file access; the kernel reports no failure, so the result is checked."""
    _set_file_id("setfsuid", uid)


def setfsgid(gid: int) -> None:
    """Set the group id for file access; the result is checked."""
    _set_file_id("setfsgid", gid)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the calling thread's capability sets, each a mask of `1 << CAPABILITIES[name]`."""
    header = _buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    masks = (effective, permitted, inheritable)
    low = [mask & 0xFFFFFFFF for mask in masks]
    high = [mask >> 32 for mask in masks]
    _call("capset", header, _buffer(struct.pack("6I", *low, *high)))


def inherit_nothing() -> None:
    """Empty the calling thread's inheritable set, and with it the ambient one."""
    sets = _buffer(bytes(24))
    _call("capget", _buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0)), sets)
    words = struct.unpack("6I", sets.raw)
    effective, permitted = (words[index] | words[index + 3] << 32 for index in (0, 1))
    capset(effective, permitted, 0)


def seccomp_load(program: bytes) -> None:
    """Filter all further system calls by `program`, an array of struct sock_filter."""
    code = _buffer(program)
    header = _buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)))
    _call("seccomp", _SECCOMP_SET_MODE_FILTER, 0, header)


def close_range(first: int, last: int = MAX_DESCRIPTOR) -> None:
    """Close the descriptors from `first` to `last`, both included."""
    _call("close_range", first, last, 0)


def syncfs(descriptor: int) -> None:
    """Write the file system that `descriptor` is on to its disk."""
    _call("syncfs", descriptor)


def sethostname(name: str) -> None:
    """Set the host name of this uts namespace."""
    _call("sethostname", os.fsencode(name), len(os.fsencode(name)))


def reset_signals() -> None:
    """Give every signal its default action and block none, as a new program expects it."""
    for signal in range(1, 65):
        if signal not in _UNCATCHABLE:
            _call("rt_sigaction", signal, bytes(32), None, 8)
    _call("rt_sigprocmask", _SIG_SETMASK, bytes(8), None, 8)


def loopback_up() -> None:
    """Bring up `lo` in this network namespace."""
    sock = _call("socket", _AF_INET, _SOCK_DGRAM | os.O_CLOEXEC, 0)
    try:
        asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        _, flags = struct.unpack("16sH22x", asked)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
    finally:
        os.close(sock)


def _set_file_id(name: str, wanted: int) -> None:
    _call(name, wanted)
    if _call(name, -1) != wanted:
        raise OSError(errno.EPERM, f"{name} {wanted}: {os.strerror(errno.EPERM)}")


def _buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, len(content))


def _call(name: str, *arguments: _Argument, path: AnyPath | None = None) -> int:
    numbers = _numbers()
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(_libc().syscall(ctypes.c_long(numbers[name]), *words))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}", *([] if path is None else [path]))
    return result


@functools.cache
def _numbers() -> dict[str, int]:
    machine = os.uname().machine
    if machine not in NUMBERS or sys.maxsize < 1 << 32:
        known = ", ".join(NUMBERS)
        raise OSError(errno.ENOSYS, f"no system call numbers for {machine}; there are for {known}")
    return NUMBERS[machine]


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc
