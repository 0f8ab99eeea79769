"""Processes that are not the extension's own: their memory, descriptors, events, and lives."""

import ctypes
import os
import resource
import signal
import struct
import time

from tools import attack, call, can_write, checked, is_alive, libc, status_of

GROUP = "the agent"


def stranger() -> int:
    """Return a process that is neither an ancestor nor a child: pid 1, or one besides it."""
    own, pid = {os.getpid()}, os.getpid()
    while pid := int(status_of(pid)["PPid"]):
        own.add(pid)
    seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    others = [pid for pid in sorted(seen) if pid not in own]
    return others[-1] if others else 1


def stands_still(pid: int) -> bool:
    """Look for a while: a signal takes a moment."""
    for _ in range(20):
        if status_of(pid)["State"].startswith("T"):
            return True
        time.sleep(0.01)
    return False


@attack
def stop_another() -> object:
    pid = stranger()
    os.kill(pid, signal.SIGSTOP)
    try:
        return stands_still(pid)
    finally:
        os.kill(pid, signal.SIGCONT)


@attack
def stop_another_by_a_pidfd() -> object:
    pid = stranger()
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
    try:
        return stands_still(pid)
    finally:
        signal.pidfd_send_signal(descriptor, signal.SIGCONT)


@attack
def trace_another() -> object:
    return call("ptrace", 0x4206, stranger(), None, None) == 0


@attack
def trace_a_child() -> object:
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        return call("ptrace", 0x4206, child, None, None) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def place_in(pid: int, rights: str) -> int:
    """Return where a mapping of a process begins that it may use so itself."""
    with open(f"/proc/{pid}/maps") as maps:
        rows = [row.split() for row in maps]
    return next(int(row[0].split("-")[0], 16) for row in rows if rights in row[1])


@attack
def memory_of_another() -> object:
    pid = stranger()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(place_in(pid, "r"))
        return memory.read(16)


@attack
def write_to_the_memory_of_another() -> object:
    return can_write(f"/proc/{stranger()}/mem")


def remote(name: str, pid: int, rights: str, content: "ctypes.Array[ctypes.c_char]") -> int:
    local = struct.pack("QQ", ctypes.addressof(content), 16)
    there = struct.pack("QQ", place_in(pid, rights), 16)
    return call(name, pid, local, 1, there, 1, 0)


@attack
def read_into_another() -> object:
    return remote("process_vm_readv", stranger(), "r", ctypes.create_string_buffer(16))


@attack
def read_into_its_parent() -> object:
    return remote("process_vm_readv", os.getppid(), "r", ctypes.create_string_buffer(16))


@attack
def write_into_another() -> object:
    """What is written is what is there."""
    content = ctypes.create_string_buffer(16)
    remote("process_vm_readv", stranger(), "w", content)
    return remote("process_vm_writev", stranger(), "w", content)


@attack
def environment_of_another() -> object:
    with open(f"/proc/{stranger()}/environ", "rb") as stream:
        return stream.read(20) or None


@attack
def descriptors_of_another() -> object:
    place = f"/proc/{stranger()}/fd"
    return [os.readlink(f"{place}/{name}") for name in os.listdir(place)]


@attack
def root_of_another() -> object:
    return os.listdir(f"/proc/{stranger()}/root/")[:3]


@attack
def directory_of_another() -> object:
    return os.listdir(f"/proc/{stranger()}/cwd/")[:3]


@attack
def take_a_descriptor() -> object:
    return call("pidfd_getfd", os.pidfd_open(stranger()), 0, 0)


@attack
def compare_with_another() -> object:
    return call("kcmp", stranger(), os.getpid(), 0, 0, 0) >= 0


@attack
def limits_of_another() -> object:
    pid = stranger()
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    return f"set to {limits}"


@attack
def processors_of_another() -> object:
    pid = stranger()
    os.sched_setaffinity(pid, os.sched_getaffinity(pid))
    return "pinned"


@attack
def priority_of_another() -> object:
    pid = stranger()
    checked(
        libc.setpriority(os.PRIO_PROCESS, pid, 1 + os.getpriority(os.PRIO_PROCESS, pid)), "nice"
    )
    return "made slower"


@attack
def let_another_run_out_of_memory_first() -> object:
    return can_write(f"/proc/{stranger()}/oom_score_adj")


@attack
def crash_another() -> object:
    pid = stranger()
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS, signal.SIGKILL):
        os.kill(pid, number)
    time.sleep(0.1)
    return None if is_alive(pid) else "it is gone"


@attack
def forge_events_on_every_descriptor() -> object:
    """What comes of it is for those outside to find."""
    line = b'\n{"event":"Finished","outcome":"ok","error":"","hint":"forged","swept":0}\n'
    for number in range(256):
        try:
            os.write(number, line)
        except OSError:
            continue
    place = f"/proc/{stranger()}/fd"
    taken = 0
    for name in os.listdir(place):
        try:
            with open(f"{place}/{name}", "ab", buffering=0) as stream:
                taken += stream.write(line)
        except OSError:
            continue
    return f"{taken} bytes" if taken else None


@attack
def descriptors_that_were_left_open() -> object:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 3 and os.path.lexists(f"/proc/self/fd/{name}"):
            target = os.readlink(f"/proc/self/fd/{name}")
            if not target.startswith(("/proc/", "pipe:")):
                found[name] = target
    return found or None


@attack
def shared_memory_of_others() -> object:
    with open("/proc/sysvipc/shm") as stream:
        return stream.read().splitlines()[1:] or None
