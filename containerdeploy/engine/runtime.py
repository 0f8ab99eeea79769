"""The local engine's launcher: makes one container, waits for its end, takes it away.

    python -I -S runtime.py run DIRECTORY ORDER CONTROL LOCK

A process for every container, in a session of its own, with the container's streams as its own. It
outlives its controller: the container's program sees its stdin close, has the time it needs, and
then all of it is removed. It dies alone: the kernel kills the container with it.

ORDER, CONTROL and LOCK are descriptors: a pipe that holds the order, a socket on which the
container's first process waits for the word to go and says what failed (it closes when the program
runs), and the lock that says the launcher lives.

    python -I -S runtime.py remove|pack|unpack …

does a thing to volumes as an ordinary user's containers see them: some of the files belong to ids
that are not the user's own.
"""

import os
import sys

if __name__ == "__main__":
    _engine = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.dirname(os.path.dirname(_engine)))
    # The room's __init__ would load what only the controller needs: go round it.
    sys.modules["containerdeploy.engine"] = type(sys)("containerdeploy.engine")
    sys.modules["containerdeploy.engine"].__path__ = [_engine]

from contextlib import suppress

from containerdeploy import syscalls
from containerdeploy.engine import (
    runtime_cgroups,
    runtime_directory,
    runtime_files,
    runtime_identity,
    runtime_init,
    runtime_order,
)
from containerdeploy.engine.runtime_order import Order

FAILED = 125
WITHHELD = "this host keeps root from making containers (it may be one itself): use docker"
_SIGKILL = 9


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    verb, path, *rest = arguments
    if verb == "run":
        return _Launcher(path, *map(int, rest)).run()
    if runtime_identity.is_rootless():
        runtime_identity.enter()
    if verb == "remove":
        runtime_files.remove_tree(path)
        return 0
    from containerdeploy.engine import runtime_tar

    return runtime_tar.main(verb, path, *rest)


class _Launcher:
    """One container's launcher; `run` is its life."""

    def __init__(self, directory: str, order: int, control: int, lock: int) -> None:
        for descriptor in (order, control, lock):
            os.set_inheritable(descriptor, False)
        self._directory = directory
        self._control = control
        self._rootless = runtime_identity.is_rootless()
        self._keep = False
        self._order_pipe = order
        self._groups: list[str] = []

    def run(self) -> int:
        """Return the exit code of the container's program, 125 when it could not be started."""
        code = FAILED
        try:
            with open(self._order_pipe, "rb") as stream:
                order = runtime_order.decode(stream.read())
            code = self._contain(order)
            self._keep = order.keep
        except EOFError:
            return code  # the controller died while it was asking
        except OSError as err:
            report(self._control, err, rootless=self._rootless)
        finally:
            if not runtime_cgroups.remove(self._groups):  # else its traces are needed
                self._take_away(code)
        return code

    def _contain(self, order: Order) -> int:
        if self._rootless:
            runtime_identity.enter()
        self._make_groups(order)
        joined, say_joined = os.pipe()
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.close(say_joined)
            self._init(order, joined)
        os.close(joined)
        try:
            runtime_directory.write_process(self._directory, "init", pid)
            with suppress(ProcessLookupError, BrokenPipeError):  # it failed first, and said so
                runtime_cgroups.join(self._groups, pid)
                os.write(say_joined, b"joined")
        except OSError:
            os.kill(pid, _SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._let_go_of_streams()
        _, status = os.waitpid(pid, 0)
        return exit_code(status)

    def _make_groups(self, order: Order) -> None:
        """Make the control groups; they are noted first, so that whoever cleans up finds them."""
        self._groups = runtime_cgroups.find(enable=True).planned(order)
        runtime_directory.write(self._directory, "cgroups", "\n".join(self._groups))
        runtime_cgroups.make(self._groups, order)

    def _init(self, order: Order, joined: int) -> None:
        channels = runtime_init.Channels(control=self._control, joined=joined)
        grouped = bool(self._groups)
        root = f"{self._directory}/root"
        try:
            runtime_init.prepare(order, root, channels, rootless=self._rootless, grouped=grouped)
            runtime_init.execute(order)
        except Exception as err:  # whatever it is, somebody must hear of it
            report(self._control, err, rootless=self._rootless)
        finally:
            os._exit(FAILED)

    def _let_go_of_streams(self) -> None:
        """Keep no end of what is the container's: its readers must see it end."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(self._control)
        self._control = -1

    def _take_away(self, code: int) -> None:
        started = os.path.exists(f"{self._directory}/started")
        if self._keep and started:
            with suppress(FileNotFoundError):
                runtime_directory.write(self._directory, "exit", str(code))
            return
        with suppress(FileNotFoundError):
            runtime_files.remove_tree(runtime_directory.put_aside(self._directory))


def report(control: int, err: Exception, *, rootless: bool) -> None:
    """Tell the controller what failed: what, evidence, hint, with NULs between."""
    hint = ""
    if isinstance(err, PermissionError):
        hint = runtime_identity.hint() if rootless else WITHHELD
    with suppress(OSError):
        os.write(
            control,
            "\0".join([f"{err}" if isinstance(err, OSError) else repr(err), hint]).encode(
                errors="surrogateescape"
            ),
        )


def exit_code(status: int) -> int:
    """Return a shell's view of a wait status: 128 and the signal's number for a killed process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
