"""System calls that few need, sockets, terminals, and limits that others share."""

import ctypes
import errno
import fcntl
import os
import re
import socket
import struct

from tools import attack, call, checked, libc, scratch

GROUP = "the kernel"


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


def family(number: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> str:
    socket.socket(number, kind, protocol).close()
    return f"a socket of family {number}"


@attack
def vsock() -> object:
    return family(40)


@attack
def kernel_crypto() -> object:
    return family(38, socket.SOCK_SEQPACKET)


@attack
def packet_socket() -> object:
    return family(17, socket.SOCK_RAW, socket.htons(3))


@attack
def raw_socket() -> object:
    return family(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@attack
def bluetooth_and_other_families() -> object:
    for number in (9, 15, 21, 29, 30, 31, 41, 42, 43, 44, 45):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                return family(number, kind)
            except OSError:
                continue
    return None


@attack
def network_interface() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8922, struct.pack("16si12x", b"lo", 1500))
    return "set the size of packets"


@attack
def the_outside_network() -> object:
    for address in (("169.254.169.254", 80), ("1.1.1.1", 53), ("172.17.0.1", 22)):
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            continue
        return f"connected to {address}"
    return None


@attack
def abstract_sockets() -> object:
    """Connect to every abstract socket that can be seen; those outside have put one up."""
    with open("/proc/net/unix") as stream:
        names = re.findall(r" @(\S+)$", stream.read(), re.MULTILINE)
    for name in names:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"\0{name}")
            return f"connected to @{name}"
    return None


@attack
def type_on_a_terminal() -> object:
    controller, terminal = os.openpty()
    os.setsid()
    fcntl.ioctl(terminal, 0x540E, 0)
    for letter in b"id\n":
        fcntl.ioctl(terminal, 0x5412, bytes([letter]))
    return f"typed on {os.ttyname(terminal)} of {controller}"


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
def gain_by_a_setuid_program() -> object:
    """Everything that a program may hold must lie within what we were given."""
    with open("/proc/self/status") as stream:
        status = dict(row.split(":\t", 1) for row in stream if ":\t" in row)
    bounding = int(status["CapBnd"], 16)
    return hex(bounding) if bounding & (1 << 21 | 1 << 19 | 1 << 16) else None


@attack
def use_up_the_hosts_inotify() -> object:
    """Limits of a user namespace are charged to its creator too."""
    made = 0
    try:
        while made < 100:
            checked(libc.inotify_init(), "inotify_init")
            made += 1
    except OSError:
        pass
    return f"{made} instances" if made > 64 else None
