"""Reads a helper's events off its attached stream, bounded at every place."""

import time
from collections.abc import Iterator
from contextlib import suppress

from containerdeploy import wire
from containerdeploy.engine import Attached
from containerdeploy.errors import EngineError, ProtocolError

STDERR_TAIL_BYTES = 16 * 1024
LAST_WORDS_S = 0.5


class EventStream:
    """Lines of stdout to events. `stderr` is what the agent's own stderr said last."""

    def __init__(self, attached: Attached, *, silence_s: float) -> None:
        self._attached = attached
        self._silence_s = silence_s
        self._buffer = bytearray()
        self._stderr = b""

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "backslashreplace")

    def __iter__(self) -> Iterator[wire.Event]:
        """Yield events until the stream ends; raise ProtocolError, EngineError or TimeoutError."""
        while (piece := self._attached.read(self._silence_s)) is not None:
            name, data = piece
            if name == "stderr":
                self._stderr = (self._stderr + data)[-STDERR_TAIL_BYTES:]
            else:
                yield from self._lines(data)
        if self._buffer:
            raise ProtocolError("the helper's stream ended in the middle of a line")

    def last_words(self) -> str:
        """Read on for a moment after a failure; return what the agent's stderr said."""
        deadline = time.monotonic() + LAST_WORDS_S
        with suppress(EngineError, TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                if (piece := self._attached.read(left)) is None:
                    break
                if piece[0] == "stderr":
                    self._stderr = (self._stderr + piece[1])[-STDERR_TAIL_BYTES:]
        return self.stderr

    def _lines(self, data: bytes) -> Iterator[wire.Event]:
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            yield self._decode(bytes(self._buffer[start : end + 1]))
            start = end + 1
        del self._buffer[:start]
        if len(self._buffer) > wire.MAX_LINE:
            raise ProtocolError(
                f"the helper sent more than {wire.MAX_LINE} bytes without a line's end"
            )

    def _decode(self, line: bytes) -> wire.Event:
        try:
            return wire.decode(line)
        except wire.WireError as err:
            raise ProtocolError(
                "the helper sent something that is no event", details=str(err)
            ) from err
