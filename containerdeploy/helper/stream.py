"""Reads a helper's events off its attached stream, bounded at every place."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from containerdeploy import wire
from containerdeploy.engine import Attached
from containerdeploy.errors import EngineError, ProtocolError

STDERR_TAIL_BYTES = 16 * 1024
LAST_WORDS_S = 0.5
LONGEST_WAIT_S = 1e6  # what a poll can be told


class EventStream:
    """Lines of stdout to events. `stderr` is what the agent's own stderr said last."""

    def __init__(self, attached: Attached, left_s: Callable[[], float]) -> None:
        """`left_s` tells how long may be waited for the next event."""
        self._attached = attached
        self._left_s = left_s
        self._buffer = bytearray()
        self._stderr = b""

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "backslashreplace")

    def __iter__(self) -> Iterator[tuple[wire.Event, int]]:
        """Yield events, each with its line's length, until the stream ends.

        Raises ProtocolError, EngineError or TimeoutError.
        """
        while (piece := self._attached.read(self._wait_s())) is not None:
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

    def _wait_s(self) -> float:
        """Who never falls silent has to come to an end as well."""
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        return min(left_s, LONGEST_WAIT_S)

    def _lines(self, data: bytes) -> Iterator[tuple[wire.Event, int]]:
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            yield self._decode(bytes(self._buffer[start : end + 1])), end + 1 - start
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
