"""A container's standard streams over an engine's attach connection.

The engine frames output: a byte for the stream, three of padding, four of length (big-endian), then
that many bytes. Podman frames the same. stdin goes unframed.
"""

import contextlib
import functools
import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from containerdeploy.engine.base import StreamName
from containerdeploy.errors import EngineError

T = TypeVar("T")
MAX_PIECE_BYTES = 256 * 1024
WRITE_STALL_S = 30.0
_HEADER_BYTES = 8
_ENGINE_ERROR = 3


class Frames:
    """Takes bytes as they come, gives the pieces of output in them, holds no more than it got."""

    def __init__(self) -> None:
        self._data = b""
        self._left = 0
        self._stream: StreamName = "stdout"

    @property
    def is_mid_frame(self) -> bool:
        """Whether an end of the connection now would cut something off."""
        return bool(self._left or self._data)

    def feed(self, data: bytes) -> None:
        """Add what came; call `next_piece` until it returns None before feeding again."""
        self._data += data

    def next_piece(self) -> tuple[StreamName, bytes] | None:
        """Return the next piece, or None when more bytes are needed."""
        while not self._left:
            if len(self._data) < _HEADER_BYTES:
                return None
            self._open_frame()
        if not self._data:
            return None
        piece, self._data = self._data[: self._left], self._data[self._left :]
        self._left -= len(piece)
        return self._stream, piece

    def _open_frame(self) -> None:
        header, self._data = self._data[:_HEADER_BYTES], self._data[_HEADER_BYTES:]
        if header[0] == _ENGINE_ERROR:
            text = self._data[:4096].decode(errors="replace")
            raise EngineError("the engine failed while passing on output", details=text)
        if header[0] > _ENGINE_ERROR or any(header[1:4]):
            details = f"frame header {header.hex()}"
            raise EngineError("the engine sent a broken output stream", details=details)
        self._stream = "stderr" if header[0] == 2 else "stdout"
        self._left = int.from_bytes(header[4:], "big")


class AttachedSocket:
    """Both ends of a container's streams on one socket; `release` is called once at the end.

    One thread may read, one write and any close. The socket never blocks: everything waits in poll,
    which a shutdown wakes. The lock is for TLS, whose state reading and writing share.
    """

    def __init__(
        self, sock: socket.socket, release: Callable[[], None], *, stall_s: float = WRITE_STALL_S
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._release = release
        self._stall_s = stall_s
        self._frames = Frames()
        self._use = threading.Lock()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._closed = threading.Event()

    def read(self, timeout_s: float) -> tuple[StreamName, bytes] | None:
        """Return the next piece, or None at the end; see engine.base.Attached."""
        deadline = time.monotonic() + timeout_s
        with self._reading:
            while not self._closed.is_set():
                if piece := self._frames.next_piece():
                    return piece
                if not self._receive(deadline):
                    return None
        return None

    def write(self, data: bytes) -> None:
        """Write all of `data`; an EngineError when nothing is taken for `stall_s`."""
        with self._writing:
            rest = memoryview(data)
            while rest:
                rest = rest[self._send(rest, time.monotonic() + self._stall_s) :]

    def close(self) -> None:
        """End both directions, wake whoever reads or writes, then let go of the socket."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._use, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._reading, self._writing:
            self._socket.close()
            self._release()

    def _receive(self, deadline: float) -> bool:
        try:
            take = functools.partial(self._socket.recv, MAX_PIECE_BYTES)
            data = self._when_ready(take, select.POLLIN, deadline)
        except TimeoutError:
            raise
        except OSError as err:
            if self._closed.is_set():
                return False
            raise _broke(err) from err
        if data:
            self._frames.feed(data)
        elif self._frames.is_mid_frame and not self._closed.is_set():
            raise _broke(EOFError("it ended in the middle of a frame"))
        return bool(data)

    def _send(self, data: memoryview, deadline: float) -> int:
        if self._closed.is_set():
            raise EngineError("cannot write to the container: its streams are closed")
        try:
            give = functools.partial(self._socket.send, data[:MAX_PIECE_BYTES])
            return self._when_ready(give, select.POLLOUT, deadline)
        except TimeoutError as err:
            text = f"the container took no input for {self._stall_s:g} s"
            raise EngineError(text) from err
        except OSError as err:
            raise _broke(err) from err

    def _when_ready(self, act: Callable[[], T], events: int, deadline: float) -> T:
        while True:
            wanted = events
            try:
                with self._use:
                    return act()
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            except BlockingIOError:
                pass
            self._poll(wanted, deadline)

    def _poll(self, events: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._socket, events)
        left_ms = max(0, math.ceil((deadline - time.monotonic()) * 1000))
        if not poll.poll(left_ms):
            raise TimeoutError("nothing moved on the container's streams in time")


def _broke(cause: BaseException) -> EngineError:
    return EngineError("the connection to the container broke", details=str(cause))
