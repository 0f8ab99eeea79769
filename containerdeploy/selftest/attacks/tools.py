"""What all attacks are made with: the list of them, system calls, places to mount at."""

import ctypes
import os
import platform
import tempfile
from collections.abc import Callable

Attack = Callable[[], object]
ATTACKS: dict[str, Attack] = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"
# x86_64, aarch64; from 424 on both have the same.
NUMBERS = {
    "pivot_root": (155, 41),
    "ptrace": (101, 117),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "syslog": (103, 116),
    "kcmp": (312, 272),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fsconfig": (431, 431),
    "mount_setattr": (442, 442),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "clone": (56, 220),
    "clone3": (435, 435),
    "move_mount": (429, 429),
    "memfd_secret": (447, 447),
    "capset": (126, 91),
    "finit_module": (313, 273),
    "iopl": (172, -1),
    "modify_ldt": (154, -1),
    "pidfd_getfd": (438, 438),
    "prlimit64": (302, 261),
}
NEWNS, NEWUSER, NEWNET, NEWPID = 0x20000, 0x10000000, 0x40000000, 0x20000000
NEWCGROUP, NEWTIME, NEWUTS = 0x2000000, 0x80, 0x4000000
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18


class Untried(Exception):
    """This attack can't be made here; the text says why."""


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


def checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def call(name: str, *arguments: object) -> int:
    number = NUMBERS[name][0 if X86 else 1]
    if number < 0:
        raise Untried(f"there is no {name} on this machine")
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *words), name)


def mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str = "") -> str:
    words = [one.encode() if one is not None else None for one in (source, target, kind)]
    options = data.encode() if data else None
    checked(libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), options), "mount")
    return f"mounted {kind} on {target}"


def status_of(pid: int | str) -> dict[str, str]:
    """Return what the kernel says of a process."""
    with open(f"/proc/{pid}/status") as stream:
        return dict(row.rstrip("\n").split(":\t", 1) for row in stream if ":\t" in row)


def is_alive(pid: int) -> bool:
    try:
        return not status_of(pid)["State"].startswith(("Z", "X"))
    except (OSError, KeyError):
        return False


def unshare(flags: int) -> str:
    checked(libc.unshare(flags), "unshare")
    return f"unshared {flags:#x}"


def scratch() -> str:
    return tempfile.mkdtemp(dir=os.environ.get("SCRATCH", "/tmp"))


def private() -> None:
    """Keep what is mounted from here on to ourselves, where that is allowed at all."""
    try:
        unshare(NEWNS)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
    except OSError:
        pass


def mounted(kind: str, source: str = "none", data: str = "") -> str:
    private()
    place = scratch()
    mount(source, place, kind, 0, data)
    return place


def can_write(path: str) -> str:
    os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    return f"{path} can be written"
