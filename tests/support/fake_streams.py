"""The standard streams of a fake container: what its behaviour holds, what the controller holds."""

import io
import threading
import time
from collections import deque

from containerdeploy.engine.base import StreamName
from containerdeploy.errors import EngineError


class Killed(BaseException):
    """Raised inside a behaviour when its container is killed; not meant to be caught."""


class FakeStreams:
    """Both sides of one container's streams; the controller's side is an engine.base.Attached."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._input = bytearray()
        self._output: deque[tuple[StreamName, bytes]] = deque()
        self._is_closed = False
        self._is_killed = False
        self._has_ended = False

    def read(self, timeout_s: float) -> tuple[StreamName, bytes] | None:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self._output or self._has_ended or self._is_closed):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError("nothing came in time")
            return self._output.popleft() if self._output and not self._is_closed else None

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._has_ended or self._is_closed:
                raise EngineError("the connection to the container broke")
            self._input += data
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take_input(self, limit: int) -> bytes:
        """Give the container up to `limit` bytes; none at the end of its stdin."""
        with self._changed:
            while not (self._input or self._is_closed or self._is_killed):
                self._changed.wait()
            if self._is_killed:
                raise Killed
            piece = bytes(self._input[:limit])
            del self._input[:limit]
            return piece

    def put_output(self, stream: StreamName, data: bytes) -> None:
        """Pass the container's output on; nobody gets it once the controller has closed."""
        with self._changed:
            if self._is_killed:
                raise Killed
            step = 1024 * 1024
            if not self._is_closed:
                pieces = (data[at : at + step] for at in range(0, len(data), step))
                self._output.extend((stream, piece) for piece in pieces)
            self._changed.notify_all()

    def kill(self) -> None:
        with self._changed:
            self._is_killed = True
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class FakeStdin(io.RawIOBase):
    """The container's stdin as a file, to be wrapped in a BufferedReader."""

    def __init__(self, streams: FakeStreams) -> None:
        self._streams = streams

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._streams.take_input(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
