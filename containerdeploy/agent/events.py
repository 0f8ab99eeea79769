"""The event stream: whole lines to a descriptor that only the agent holds."""

import codecs
import os
import select
import threading
from collections.abc import Callable
from typing import Literal

from containerdeploy import wire

TAIL_CHARACTERS = 8192
TICK_S = 0.5
LogStream = Literal["stdout", "stderr", "log", "agent"]


def claim_stdout() -> int:
    """Keep fd 1 for events and return its new number; whatever else prints lands on stderr."""
    events = os.dup(1)
    os.dup2(2, 1)
    return events


class Emitter:
    """Writes events, one line each, from any thread.

    Waits for a slow reader for as long as `is_wanted` says so; then the rest is dropped: an agent
    that nobody listens to must be able to clean up.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._is_broken = False
        self.is_wanted: Callable[[], bool] = lambda: True
        os.set_blocking(descriptor, False)

    def send(self, event: wire.Event) -> None:
        line = memoryview(wire.encode(event))
        with self._lock:
            while line and not self._is_broken:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:
                    self._is_broken = not self._wait()

    def _wait(self) -> bool:
        """Wait until there is room; False when there is none and nobody is there to make it."""
        while not select.select([], [self._descriptor], [], TICK_S)[1]:
            if not self.is_wanted():
                return False
        return True

    def note(self, step: str, text: str) -> None:
        """Say something in the agent's own voice, as a line of the step's log."""
        for start in range(0, len(text) + 1, wire.TEXT_PER_LINE):
            piece = text[start : start + wire.TEXT_PER_LINE]
            last = start + wire.TEXT_PER_LINE > len(text)
            self.send(wire.Log(step=step, stream="agent", text=piece, partial=not last))


class LogSplitter:
    """Turns the bytes of one stream into Log events: split at lines where it can, never cut.

    `tail` is the end of what was said so far; `heard` gets all of it, in pieces.
    """

    def __init__(
        self,
        emitter: Emitter,
        step: str,
        stream: LogStream,
        heard: Callable[[str], None] | None = None,
    ) -> None:
        self._emitter = emitter
        self._step = step
        self.stream = stream
        self._heard = heard
        self.tail = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""

    def feed(self, data: bytes) -> None:
        text = self._held + self._decoder.decode(data)
        while len(text) >= wire.TEXT_PER_LINE:
            cut = text.rfind("\n", 0, wire.TEXT_PER_LINE) + 1 or wire.TEXT_PER_LINE
            self._send(text[:cut])
            text = text[cut:]
        cut = text.rfind("\n") + 1
        if cut:
            self._send(text[:cut])
        self._held = text[cut:]

    def close(self) -> None:
        """Send what is held; a last line needs no newline."""
        text = self._held + self._decoder.decode(b"", final=True)
        if text:
            self._send(text, last=True)
        self._held = ""

    def _send(self, text: str, *, last: bool = False) -> None:
        self.tail = (self.tail + text)[-TAIL_CHARACTERS:]
        if self._heard is not None:
            self._heard(text)
        partial = not last and not text.endswith("\n")
        event = wire.Log(
            step=self._step, stream=self.stream, text=text.removesuffix("\n"), partial=partial
        )
        self._emitter.send(event)
