"""A container of the local engine in the hands of the controller that made it."""

import contextlib
import math
import os
import select
import socket
import subprocess
import threading
from pathlib import Path

from containerdeploy.engine import runtime_directory, runtime_order, runtime_removal
from containerdeploy.engine.base import ContainerSpec
from containerdeploy.engine.runtime_init import GO
from containerdeploy.engine.runtime_streams import Pipes
from containerdeploy.errors import EngineError

START_S = 60.0
_KILLED = 137


class Handle:
    """The launcher's process and the descriptors that lead to it; `release` must be called.

    It owns what it opened from the first line: a launcher that can't be started leaves nothing.
    """

    def __init__(
        self, spec: ContainerSpec, directory: Path, order: runtime_order.Order, *, lock: int
    ) -> None:
        """Start the launcher, which makes the container and waits; it inherits the lock."""
        self.spec = spec
        self.directory = directory
        self._guard = threading.Lock()
        self._is_started = False
        self._is_attached = False
        self._control, theirs = socket.socketpair()
        stdin, self_in = os.pipe()
        self_out, stdout = os.pipe()
        self_err, stderr = os.pipe()
        self.streams = Pipes(self_in, self_out, self_err)
        order_read, order_write = os.pipe()
        control = theirs.detach()
        words = [str(directory), *map(str, (order_read, control, lock))]
        try:
            self._process = subprocess.Popen(
                runtime_removal.launcher_argv("run", *words),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(order_read, control, lock),
                start_new_session=True,
                cwd="/",
            )
        except OSError:
            os.close(order_write)
            self._control.close()
            self.streams.close()
            raise
        finally:
            for descriptor in (stdin, stdout, stderr, order_read, control):
                os.close(descriptor)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._introduce(order_write, order)

    def _introduce(self, pipe: int, order: runtime_order.Order) -> None:
        """Note who the launcher is and tell it what to do; it may be dead already."""
        with contextlib.suppress(FileNotFoundError):
            runtime_directory.write_process(str(self.directory), "launcher", self._process.pid)
        with contextlib.suppress(BrokenPipeError), open(pipe, "wb", buffering=0) as stream:
            rest = memoryview(runtime_order.encode(order))
            while rest:
                rest = rest[stream.write(rest) :]

    def start(self) -> None:
        """Have the program run; starting what was started is fine."""
        with self._guard:
            if self._is_started:
                return
            self._is_started = True
            with contextlib.suppress(FileNotFoundError):
                (self.directory / "started").touch()
            failure = self._say_go()
        if failure:
            brief, _, hint = failure.decode(errors="replace").partition("\0")
            raise EngineError("cannot start the container", details=brief, hint=hint or None)

    def wait(self, timeout_s: float) -> int:
        """Return the exit code; raise TimeoutError."""
        with self._guard:
            pidfd = -1 if self._pidfd < 0 else os.dup(self._pidfd)
        if pidfd >= 0:
            try:
                _await(pidfd, timeout_s)
            finally:
                os.close(pidfd)
        code = self._process.wait()
        return code if code >= 0 else _KILLED

    def release(self) -> None:
        """Let go of all that nobody else was given, and of the launcher, which must have ended."""
        self._control.close()
        if not self._is_attached:
            self.streams.close()
        self._process.wait(runtime_removal.DEATH_S)
        with self._guard:
            os.close(self._pidfd)
            self._pidfd = -1

    def attach(self) -> Pipes:
        """Give the streams away; whoever has them closes them."""
        self._is_attached = True
        return self.streams

    def _say_go(self) -> bytes:
        """Return what the other side says before it closes: nothing when the program runs."""
        self._control.settimeout(START_S)
        said = b""
        try:
            with contextlib.suppress(BrokenPipeError):
                self._control.sendall(GO)
            while piece := self._control.recv(4096):
                said += piece
        except TimeoutError as err:
            raise EngineError(
                f"the container did not start within {START_S:.0f} s", transient=True
            ) from err
        except ConnectionResetError:
            return said
        return said


def _await(pidfd: int, timeout_s: float) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if not poll.poll(max(0, math.ceil(timeout_s * 1000))):
        raise TimeoutError(f"the container did not end within {timeout_s:g} s")
