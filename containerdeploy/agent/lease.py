"""Notices that the controller is gone: stdin has ended, or has been silent for too long."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable

from containerdeploy import wire

CLEANUP_S = 20.0
GO_POLL_S = 0.5


class LeaseLost(Exception):
    """The controller is gone; undo and end."""


class Lease:
    """Watches stdin in a thread of its own; `check` raises in the main thread once it has ended.

    While a child runs, `on_loss` holds what kills it. The main thread then has CLEANUP_S to clean
    up before the process ends regardless.
    """

    def __init__(self, descriptor: int, *, silence_s: float = wire.LEASE_S) -> None:
        self._descriptor = descriptor
        self._silence_s = silence_s
        self._lock = threading.Lock()
        self._on_loss: Callable[[], None] | None = None
        self._lost = threading.Event()
        self._go = threading.Event()
        self.reason = ""

    def start(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._lose("told to stop"))
        threading.Thread(target=self._watch, daemon=True, name="lease").start()

    def is_held(self) -> bool:
        return not self._lost.is_set()

    def check(self) -> None:
        """Raise LeaseLost if the controller is gone."""
        if self._lost.is_set():
            raise LeaseLost(self.reason)

    def await_go(self) -> None:
        """Return when the controller says that unpacking may begin; raise LeaseLost."""
        while not self._go.wait(GO_POLL_S):
            self.check()

    def wait(self, timeout_s: float) -> None:
        """Return when the lease has ended, or after `timeout_s`."""
        self._lost.wait(timeout_s)

    def guard(self, on_loss: Callable[[], None] | None) -> None:
        """Call `on_loss` when the lease ends, at once if it has; None takes the guard away."""
        with self._lock:
            self._on_loss = on_loss
        if on_loss is not None and self._lost.is_set():
            on_loss()

    def _watch(self) -> None:
        while True:
            ready, _, _ = select.select([self._descriptor], [], [], self._silence_s)
            if not ready:
                return self._lose(f"no sign of the controller for {self._silence_s:.0f} s")
            try:
                heard = os.read(self._descriptor, 4096)
            except OSError as err:
                return self._lose(f"the lease broke: {err}")
            if not heard:
                return self._lose("the controller closed the lease")
            if wire.GO in heard:
                self._go.set()

    def _lose(self, reason: str) -> None:
        if self._lost.is_set():
            return
        self.reason = reason
        self._lost.set()
        with self._lock:
            on_loss = self._on_loss
        if on_loss is not None:
            on_loss()
        threading.Thread(target=_leave_late, daemon=True, name="leave").start()


def _leave_late() -> None:
    """End the process if cleaning up takes too long: pid 1 goes, the kernel kills the rest."""
    time.sleep(CLEANUP_S)
    os._exit(70)
