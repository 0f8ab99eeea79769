"""The clockwork of one run: what has come, which limit is passed, and how the program is ended.

At a limit everything in the room is asked to end (SIGTERM), and killed when its grace is over.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from containerdeploy import syscalls, wire
from containerdeploy.agent.confine import Running
from containerdeploy.agent.disk import Disk

TICK_S = 0.1
Excess = tuple[wire.Outcome, str]
Overrun = Callable[[Running], Excess | None]


class Watch:
    """Watches one program; `over` is the limit that it passed first, `ends` what came of that."""

    def __init__(self, limits: wire.Limits, disk: Disk, overrun: Overrun | None) -> None:
        """`overrun` is asked for bounds that the limits don't know."""
        self._limits = limits
        self._overrun = overrun
        self._disk = disk
        self._kill_at: float | None = None
        self.started = self.heard = time.monotonic()
        self.output_bytes = 0
        self.over: Excess | None = None

    @property
    def is_loud(self) -> bool:
        """Say whether it said more than it may: the rest is not passed on."""
        return self.output_bytes > self._limits.max_output_bytes

    def act(self, running: Running) -> None:
        """Ask the program to end if it is over a limit; kill it if it has been asked in vain."""
        if self.over is None and (excess := self._excess(running)):
            self.over = excess
            self._kill_at = time.monotonic() + self._limits.grace_s
            ask_to_end(running.outer)
        elif self._kill_at is not None and self._is_graceless():
            self._kill_at = None
            running.kill()

    def _is_graceless(self) -> bool:
        is_disk = self.over is not None and self.over[0] == "out of disk"
        is_late = self._kill_at is not None and time.monotonic() >= self._kill_at
        return is_late or (is_disk and self._disk.is_urgent)

    def pause_s(self) -> float:
        """Return when to look again, at the latest."""
        limits, now = self._limits, time.monotonic()
        ends = [now + TICK_S]
        if limits.timeout_s is not None:
            ends.append(self.started + limits.timeout_s)
        if self._kill_at is not None:
            ends.append(self._kill_at)
        return max(0.001, min(end for end in ends if end > now) - now)

    def _excess(self, running: Running) -> Excess | None:
        """Which limit is passed, and by what."""
        limits, now = self._limits, time.monotonic()
        if limits.timeout_s is not None and now - self.started > limits.timeout_s:
            return "timed out", f"still running after {limits.timeout_s:g} s"
        if limits.idle_timeout_s is not None and now - self.heard > limits.idle_timeout_s:
            return "idle", f"said nothing for {limits.idle_timeout_s:g} s"
        if self.is_loud:
            return "too much output", f"more than {limits.max_output_bytes} bytes"
        if self._disk.excess:
            return "out of disk", self._disk.excess
        return self._overrun(running) if self._overrun else None


def ask_to_end(outer: int) -> None:
    """Send SIGTERM to all that is in the pid namespace below `outer`, stopped processes too.

    From inside, where one call reaches every process at once: none can fork out of its way. What
    can't be asked is killed later.
    """
    with suppress(OSError):
        namespace = os.open(f"/proc/{outer}/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/pid")):
                _signal_all_in(namespace)
        finally:
            os.close(namespace)


def _signal_all_in(namespace: int) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        syscalls.set_dumpable(False)
        syscalls.setns(namespace, syscalls.CLONE_NEWPID)
        inside = os.fork()
        if inside == 0:
            os.kill(-1, signal.SIGTERM)
            os.kill(-1, signal.SIGCONT)
        else:
            os.waitpid(inside, 0)
    finally:
        os._exit(0)
