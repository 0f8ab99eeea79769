"""Starts a process in a room, in namespaces of its own and without what it could do harm with.

Three processes, in this order, because each step needs the one before:

    outer  enters the control group, makes mount, pid, ipc, uts and cgroup namespaces that belong to
           the agent's user namespace, so that the confined process has no power over them
    init   pid 1 of the new pid namespace: makes the room, then only reaps; its end kills everything
           in the namespace, daemons included
    inner  joins the extension's user namespace, gets a network of its own inside it, gives up what
           it doesn't need, and becomes the program
"""

import fcntl
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol

from containerdeploy import syscalls
from containerdeploy.agent import filter as call_filter
from containerdeploy.agent import powers
from containerdeploy.agent import room as rooms
from containerdeploy.agent.failures import told
from containerdeploy.agent.identity import Identity
from containerdeploy.frozen import frozen

NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
)
ERRORS_AT = 200  # out of the way of every descriptor that a program is given
CANNOT_START = 125


class Entrance(Protocol):
    """Opens the way to a gateway, in the network namespace of the process that calls it."""

    def open(self) -> None: ...


@frozen
class Confinement:
    """How a process is held. `identity` None keeps real ids (only for unpacking).

    `network` shares the agent's; else it has a loopback interface, and an `entrance` if at all.
    `processors` is how many it may run on, for want of a group that holds it to their time.
    """

    room: rooms.Room
    identity: Identity | None
    capabilities: frozenset[str]
    network: bool = False
    entrance: Entrance | None = None
    cgroups: tuple[str, ...] = ()
    processors: int | None = None
    rlimits: tuple[tuple[int, int], ...] = ()

    @property
    def is_real_root(self) -> bool:
        """Whether the program is root of the whole machine, with what is left of root's power."""
        return self.identity is not None and self.identity.is_real_root


@frozen
class Running:
    """A confined process: kill `init` and everything of it is gone; then reap `outer`.

    `errors` yields what went wrong before the program ran, and ends at its start.
    """

    outer: int
    init: int
    errors: int

    def kill(self) -> None:
        """Kill all of it; nothing of it runs any more once `outer` has been reaped."""
        for process in (self.init, self.outer):
            if process > 0:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                return


@frozen
class Program:
    """What to run; `descriptors` maps its descriptor numbers to ours, all others are closed."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Mapping[int, int]


def start(confinement: Confinement, program: Program) -> Running:
    """Start a program confined; what fails before it runs is told through `Running.errors`."""
    call_filter_program = call_filter.program(for_real_root=confinement.is_real_root)
    error_read, error_write = _high_pipe()
    init_read, init_write = os.pipe()
    outer = os.fork()
    if outer == 0:
        with _reporting_to(error_write):
            _outer(confinement, program, call_filter_program, init_write, error_write)
    os.close(error_write)
    os.close(init_write)
    try:
        init = int(os.read(init_read, 32) or b"0")
    finally:
        os.close(init_read)
    return Running(outer=outer, init=init, errors=error_read)


def _high_pipe() -> tuple[int, int]:
    read, write = os.pipe()
    high = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, ERRORS_AT)
    os.close(write)
    return read, high


@contextmanager
def _reporting_to(descriptor: int) -> Iterator[None]:
    """Never return to the caller's code: a child that fails says why and ends."""
    try:
        yield
    except OSError as err:
        os.write(descriptor, str(err).encode(errors="replace")[:4000])
    except BaseException as err:
        os.write(descriptor, told(err).encode(errors="replace")[:4000])
    finally:
        os._exit(CANNOT_START)


def _outer(
    confinement: Confinement, program: Program, filter_: bytes, init_write: int, errors: int
) -> NoReturn:
    syscalls.set_pdeathsig(signal.SIGKILL)
    for directory in confinement.cgroups:
        with open(f"{directory}/cgroup.procs", "w", encoding="ascii") as stream:
            stream.write("0")
    # Here, for the program itself is undumpable at first and may not write to its own /proc.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("1000")
    syscalls.unshare(NAMESPACES)
    init = os.fork()
    if init == 0:
        _init(confinement, program, filter_, errors)
    os.write(init_write, str(init).encode())
    syscalls.close_range(3, syscalls.MAX_DESCRIPTOR)
    _, status = os.waitpid(init, 0)
    os._exit(_exit_code(status))


def _init(confinement: Confinement, program: Program, filter_: bytes, errors: int) -> NoReturn:
    """Be pid 1: make the room, start the program, reap until it ends.

    Without a handler it is out of reach: the kernel drops what pid 1's own namespace sends it.
    """
    syscalls.reset_signals()
    syscalls.set_pdeathsig(signal.SIGKILL)
    syscalls.set_dumpable(False)
    os.setsid()
    syscalls.sethostname("localhost")
    user_limits = rooms.enter(confinement.room)
    inner = os.fork()
    if inner == 0:
        _inner(confinement, program, filter_, user_limits, errors)
    _hold_nothing()
    while True:
        pid, status = os.wait()
        if pid == inner:
            os._exit(_exit_code(status))


def _hold_nothing() -> None:
    """Keep no descriptor that the program could reach through /proc/1/fd or keep open by it."""
    syscalls.close_range(0, syscalls.MAX_DESCRIPTOR)
    os.open("/dev/null", os.O_RDWR)
    os.dup2(0, 1)
    os.dup2(0, 2)


def _inner(
    confinement: Confinement, program: Program, filter_: bytes, user_limits: int, errors: int
) -> NoReturn:
    who = confinement.identity
    if who is not None and not who.is_real_root:
        syscalls.setns(who.descriptor, syscalls.CLONE_NEWUSER)
    if not confinement.network:
        syscalls.unshare(syscalls.CLONE_NEWNET)
    if who is not None:
        if not confinement.network and who.has_loopback:
            syscalls.loopback_up()
        if confinement.entrance is not None:
            confinement.entrance.open()
        powers.become_root_of(who, user_limits)
    powers.limit(confinement.rlimits, shared_with_root=confinement.is_real_root)
    powers.choose_processors(confinement.processors)
    os.setsid()
    os.chdir(confinement.room.cwd)
    _arrange_descriptors(program.descriptors, errors)
    powers.drop_capabilities(confinement.capabilities)
    syscalls.set_no_new_privs()
    syscalls.seccomp_load(filter_)
    _become(program)


def _become(program: Program) -> NoReturn:
    try:
        os.execve(program.argv[0], list(program.argv), dict(program.environment))
    except OSError as err:
        interpreter = _interpreter(program.argv[0]) if isinstance(err, FileNotFoundError) else ""
        if interpreter:  # the kernel reports it as if the script weren't there
            raise OSError(f"the helper has no {interpreter}, which runs {program.argv[0]}") from err
        raise OSError(f"{program.argv[0]}: {err.strerror}") from err


def _interpreter(path: str) -> str:
    """Return the program that a script's first line names, nothing where there is none."""
    with suppress(OSError), open(path, "rb") as stream:
        mark, _, rest = stream.readline(256).partition(b"#!")
        if not mark and rest.split():
            return os.fsdecode(rest.split()[0])
    return ""


def _arrange_descriptors(wanted: Mapping[int, int], errors: int) -> None:
    """Put the wanted descriptors in their places, close all others but the error pipe."""
    moved = {
        target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, errors + 1)
        for target, source in wanted.items()
    }
    for target, source in moved.items():
        os.dup2(source, target, inheritable=True)
    low = 0
    for target in sorted([*wanted, errors]):
        if target > low:
            syscalls.close_range(low, target - 1)
        low = target + 1
    syscalls.close_range(low, syscalls.MAX_DESCRIPTOR)


def _exit_code(status: int) -> int:
    """A shell's view of a wait status: 128 and the signal's number for a killed process."""
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    return 128 + os.WTERMSIG(status)
