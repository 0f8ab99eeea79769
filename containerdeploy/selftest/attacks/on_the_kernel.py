"""System calls that few need, and limits that others share."""

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import struct
import time

from tools import attack, call, checked, libc, mounted, scratch, status_of

GROUP = "the kernel"
# SYS_MODULE SYS_RAWIO SYS_PTRACE SYS_ADMIN SYS_BOOT NET_ADMIN NET_RAW MKNOD SYSLOG BPF PERFMON
SYSTEM_RIGHTS = sum(1 << bit for bit in (16, 17, 19, 21, 22, 12, 13, 27, 34, 38, 39))


@attack
def keyring() -> object:
    call("add_key", b"user", b"hostile", b"secret", 6, -2)
    return "added"


@attack
def keyring_of_the_session() -> object:
    return call("keyctl", 0, -3, 1, 0, 0)


@attack
def bpf() -> object:
    attributes = struct.pack("IIII", 2, 4, 8, 1) + bytes(112)
    return call("bpf", 0, attributes, len(attributes))


@attack
def perf() -> object:
    attributes = struct.pack("IIQ", 1, 120, 0) + bytes(104)
    return call("perf_event_open", attributes, 0, -1, -1, 0)


@attack
def io_uring() -> object:
    return call("io_uring_setup", 4, bytes(120))


@attack
def userfaultfd() -> object:
    return call("userfaultfd", os.O_CLOEXEC)


@attack
def fanotify() -> object:
    return call("fanotify_init", 0, 0)


@attack
def mount_by_the_x32_numbers() -> object:
    place = scratch().encode()
    number = ctypes.c_long(0x40000000 + 165)
    return checked(libc.syscall(number, b"none", place, b"tmpfs", 0, 0), "mount") == 0


@attack
def system_calls_of_tomorrow() -> object:
    """Calls newer than the filter must look absent, whatever the kernel has."""
    for number in range(457, 480):
        libc.syscall(ctypes.c_long(number), -1, -1, -1, -1, -1)
        if ctypes.get_errno() != errno.ENOSYS:
            return f"{number} is there"
    return None


def terminal() -> tuple[int, int]:
    """Return both ends of a new terminal, on a mount of our own where there is none."""
    try:
        return os.openpty()
    except OSError:
        place = mounted("devpts", data="newinstance,ptmxmode=0666")
    controller = os.open(f"{place}/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(controller, 0x40045431, struct.pack("i", 0))
    return controller, os.open(f"{place}/0", os.O_RDWR | os.O_NOCTTY)


@attack
def type_on_a_terminal() -> object:
    controller, end = terminal()
    os.setsid()
    fcntl.ioctl(end, 0x540E, 0)
    for letter in b"id\n":
        fcntl.ioctl(end, 0x5412, bytes([letter]))
    return f"typed on {end} of {controller}"


@attack
def raise_capabilities() -> object:
    """Take CAP_SYS_ADMIN, or all there are."""
    for low, high in ((1 << 21, 0), (0xFFFFFFFF, 0x1FF)):
        header = struct.pack("Ii", 0x20080522, 0)
        try:
            call("capset", header, struct.pack("IIIIII", low, low, 0, high, high, 0))
        except OSError:
            continue
        return "taken"
    raise OSError(errno.EPERM, "capset: no")


@attack
def capability_that_files_can_give() -> object:
    """A file with all capabilities must give no more than we were given."""
    path = f"{scratch()}/sleep"
    shutil.copyfile("/bin/sleep", path)
    os.chmod(path, 0o755)
    words = struct.pack("<5I", 0x02000001, 0xFFFFFFFF, 0, 0x1FF, 0)
    os.setxattr(path, "security.capability", words)
    return hex(gained) if (gained := rights_of(path) & SYSTEM_RIGHTS) else None


@attack
def program_in_memory() -> object:
    """It may run, and gain nothing by that."""
    with open("/bin/sleep", "rb") as stream:
        descriptor = os.memfd_create("hostile", 0)
        os.write(descriptor, stream.read())
    gained = rights_of(f"/proc/self/fd/{descriptor}") & SYSTEM_RIGHTS
    return hex(gained) if gained else None


def rights_of(path: str) -> int:
    """Start a program that sleeps, and return the capabilities that it has got."""
    return int(status_of_program(path)["CapEff"], 16)


def status_of_program(path: str) -> dict[str, str]:
    """Start a program that sleeps; return what the kernel says of it, and end it."""
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, ["sleep", "60"])
        finally:
            os._exit(127)
    try:
        while (status := status_of(child))["Name"] == status_of("self")["Name"]:
            time.sleep(0.01)
        if status["State"].startswith("Z"):
            raise OSError(errno.EACCES, "it can't be run")
        return status
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@attack
def load_a_module() -> object:
    """Anything but a refusal means that the kernel would have read it."""
    try:
        call("finit_module", -1, b"", 0)
    except OSError as err:
        if err.errno != errno.EBADF:
            raise
    return "the kernel is willing"


@attack
def ports_by_privilege() -> object:
    return call("iopl", 3) == 0


@attack
def local_descriptor_table() -> object:
    return call("modify_ldt", 0, bytes(16), 16) >= 0


@attack
def secret_memory() -> object:
    return call("memfd_secret", 0)


@attack
def real_time_priority() -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "real time"


@attack
def shield_from_the_oom_killer() -> object:
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("-1000")
    return "shielded"


@attack
def capabilities_beyond_files() -> object:
    """All that a program may ever hold here must be of use for files only."""
    beyond = int(status_of("self")["CapBnd"], 16) & SYSTEM_RIGHTS
    return hex(beyond) if beyond else None


@attack
def gain_by_a_setuid_program() -> object:
    """A program of root's that anyone may run as root: nobody must become root by it."""
    path = f"{scratch()}/sleep"
    shutil.copyfile("/bin/sleep", path)
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o4755)
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    ids = status_of_program(path)["Uid"].split()
    return f"ids {ids}" if ids[1] == "0" else None


@attack
def use_up_the_hosts_inotify() -> object:
    """Limits of a user namespace are charged to its creator too."""
    made = 0
    try:
        while made < 66:
            checked(libc.inotify_init(), "inotify_init")
            made += 1
    except OSError:
        pass
    return f"{made} instances" if made > 64 else None
