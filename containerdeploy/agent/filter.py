"""The system call filter of a confined process, compiled to BPF for this machine.

Refused with EPERM: what could reach beyond the room or the kernel's less trodden paths. Refused
with ENOSYS: clone3 (libc then falls back to clone, whose flags can be read), io_uring, every number
above the highest reviewed (a pure list of refusals was CVE-2021-41133), other architectures. Done
by doing nothing: a change of the limit on core dumps, which has to stay as it is (powers.py).
"""

import errno
import os
import struct

from containerdeploy import syscall_numbers

REFUSED = (
    "mount umount2 pivot_root swapon swapoff reboot acct settimeofday clock_settime adjtimex "
    "clock_adjtime iopl ioperm init_module delete_module finit_module kexec_load kexec_file_load "
    "quotactl quotactl_fd syslog vhangup nfsservctl lookup_dcookie add_key request_key keyctl "
    "perf_event_open fanotify_init fanotify_mark name_to_handle_at open_by_handle_at setns "
    "process_vm_readv process_vm_writev kcmp bpf userfaultfd open_tree move_mount fsopen fsconfig "
    "fsmount fspick pidfd_getfd process_madvise mount_setattr memfd_secret ptrace move_pages "
    "migrate_pages modify_ldt sched_setscheduler sched_setattr sethostname setdomainname "
    "get_mempolicy mbind set_mempolicy statmount listmount"
).split()
ABSENT = "clone3 io_uring_setup io_uring_enter io_uring_register".split()
# The kernel counts these for all of a user's processes, and an extension in compat mode is the
# host's root; programs do without where a kernel lacks them.
ABSENT_FOR_REAL_ROOT = "inotify_init inotify_init1".split()
HIGHEST_REVIEWED = 456
NAMESPACE_FLAGS = 0x7E020080  # NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET NEWTIME
# TIOCSTI, TIOCLINUX, and all that a loop device can be told: LOOP_SET_FD to LOOP_CONFIGURE.
REFUSED_REQUESTS = (0x5412, 0x541C, *range(0x4C00, 0x4C0B), 0x4C80, 0x4C81, 0x4C82)
SOCKET_FAMILIES = (1, 2, 10, 16)  # UNIX INET INET6 NETLINK
CORE = 4  # RLIMIT_CORE
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# Offsets in struct seccomp_data: arguments have a lower half, here, and an upper one four bytes on.
_NUMBER, _ARCH, _ARG0, _ARG1, _ARG2, _ARG3 = 0, 4, 16, 24, 32, 40
Instruction = tuple[int, int, int, int]


def program(machine: str | None = None, *, for_real_root: bool = False) -> bytes:
    """Return the filter as an array of struct sock_filter; raise OSError on an unknown machine."""
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    numbers = syscall_numbers.NUMBERS[machine]
    absent = [*ABSENT, *(ABSENT_FOR_REAL_ROOT if for_real_root else ())]
    return b"".join(struct.pack("HBBI", *item) for item in _instructions(numbers, machine, absent))


def _instructions(numbers: dict[str, int], machine: str, absent: list[str]) -> list[Instruction]:
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, ARCHITECTURES[machine]), _refuse(errno.ENOSYS)]
    code += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, HIGHEST_REVIEWED + 1), _refuse(errno.ENOSYS)]
    for names, error in ((REFUSED, errno.EPERM), (absent, errno.ENOSYS)):
        for name in names:
            if name in numbers:
                code += _case(numbers[name], [_refuse(error)])
    flags = [(_LOAD, 0, 0, _ARG0), (_ANY_BIT, 0, 1, NAMESPACE_FLAGS), _refuse(errno.EPERM)]
    for name in ("clone", "unshare"):
        code += _case(numbers[name], [*flags, (_RETURN, 0, 0, _ALLOW)])
    code += _case(numbers["ioctl"], _unless(_ARG1, REFUSED_REQUESTS, errno.EPERM))
    code += _case(numbers["socket"], _only(_ARG0, SOCKET_FAMILIES, errno.EAFNOSUPPORT))
    code += _case(numbers["setrlimit"], _unless(_ARG0, (CORE,), 0))
    code += _case(numbers["prlimit64"], _core_limit_only_read())
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _core_limit_only_read() -> list[Instruction]:
    """For prlimit64(pid, resource, new, old): set it by doing nothing, refuse to do both."""
    allow = (_RETURN, 0, 0, _ALLOW)
    is_of_cores = [(_LOAD, 0, 0, _ARG1), (_EQUAL, 1, 0, CORE), allow]
    sets_one = [(_LOAD, 0, 0, _ARG2), (_EQUAL, 0, 3, 0)]
    sets_one += [(_LOAD, 0, 0, _ARG2 + 4), (_EQUAL, 0, 1, 0), allow]
    return [*is_of_cores, *sets_one, *_nonzero(_ARG3, _refuse(errno.EPERM)), _refuse(0)]


def _nonzero(argument: int, then: Instruction) -> list[Instruction]:
    """Do `then` where an argument of 64 bits is not zero."""
    halves = [(_LOAD, 0, 0, argument), (_EQUAL, 1, 0, 0), then]
    return [*halves, (_LOAD, 0, 0, argument + 4), (_EQUAL, 1, 0, 0), then]


def _refuse(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _case(number: int, body: list[Instruction]) -> list[Instruction]:
    return [(_EQUAL, 0, len(body), number), *body]


def _unless(argument: int, values: tuple[int, ...], error: int) -> list[Instruction]:
    tests: list[Instruction] = [
        (_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)
    ]
    return [(_LOAD, 0, 0, argument), *tests, (_RETURN, 0, 0, _ALLOW), _refuse(error)]


def _only(argument: int, values: tuple[int, ...], error: int) -> list[Instruction]:
    tests: list[Instruction] = [
        (_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)
    ]
    return [(_LOAD, 0, 0, argument), *tests, _refuse(error), (_RETURN, 0, 0, _ALLOW)]
