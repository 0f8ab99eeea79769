"""The controller's ends of a local container's standard streams: three pipes."""

import contextlib
import math
import os
import select
import threading
import time

from containerdeploy.engine.base import StreamName
from containerdeploy.errors import EngineError

MAX_PIECE_BYTES = 256 * 1024
WRITE_STALL_S = 30.0


class Pipes:
    """An engine.base.Attached; takes over the descriptors.

    One thread may read, one write and any close: both sides wait in poll, on an event descriptor
    too that `close` sets.
    """

    def __init__(self, stdin: int, stdout: int, stderr: int) -> None:
        self._stdin = stdin
        self._outputs: dict[int, StreamName] = {stdout: "stdout", stderr: "stderr"}
        self._open = [stdin, stdout, stderr]
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.set_blocking(stdin, False)

    def read(self, timeout_s: float) -> tuple[StreamName, bytes] | None:
        """Return the next piece, or None at the end; see engine.base.Attached."""
        deadline = time.monotonic() + timeout_s
        with self._reading:
            while self._outputs and not self._closed:
                events = dict.fromkeys(self._outputs, select.POLLIN)
                for descriptor in self._poll(events, deadline):
                    name = self._outputs[descriptor]
                    if data := os.read(descriptor, MAX_PIECE_BYTES):
                        return name, data
                    del self._outputs[descriptor]
        return None

    def write(self, data: bytes) -> None:
        """Write all of `data`; an EngineError when nothing is taken for 30 s."""
        with self._writing:
            rest = memoryview(data)
            while rest:
                rest = rest[self._write_some(rest) :]

    def close(self) -> None:
        """End both directions, wake whoever reads or writes, then let go of the pipes."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.eventfd_write(self._wake, 1)
        with self._reading, self._writing:
            for descriptor in (*self._open, self._wake):
                os.close(descriptor)

    def _write_some(self, data: memoryview) -> int:
        if self._closed:
            raise EngineError("cannot write to the container: its streams are closed")
        try:
            self._poll({self._stdin: select.POLLOUT}, time.monotonic() + WRITE_STALL_S)
            with contextlib.suppress(BlockingIOError):
                return 0 if self._closed else os.write(self._stdin, data)
        except TimeoutError as err:
            text = f"the container took no input for {WRITE_STALL_S:.0f} s"
            raise EngineError(text) from err
        except OSError as err:
            raise EngineError("the container takes no input any more", details=str(err)) from err
        return 0

    def _poll(self, events: dict[int, int], deadline: float) -> list[int]:
        """Return what is ready, nothing when `close` was called; raise TimeoutError."""
        poll = select.poll()
        for descriptor, wanted in events.items():
            poll.register(descriptor, wanted)
        poll.register(self._wake, select.POLLIN)
        left_ms = max(0, math.ceil((deadline - time.monotonic()) * 1000))
        ready = [descriptor for descriptor, _ in poll.poll(left_ms)]
        if not ready:
            raise TimeoutError("nothing moved on the container's streams in time")
        return [descriptor for descriptor in ready if descriptor != self._wake]
