"""Reads an artifact out of the FIFO that a write extension writes it to, as it comes.

The kernel moves it to a file that only the controller can reach, and a thread beside digests what
lies there: the file in place is what was digested.
"""

import errno
import fcntl
import os
import select
import stat
import struct
import termios
import threading
from contextlib import suppress
from pathlib import Path

from containerdeploy.errors import DeployError, ProtocolError
from containerdeploy.helper.digesting import GrowingFile

CHUNK_BYTES = 1 << 20
SHARE = 0.9  # of what is free on a disk: others live there too


class Reception:
    """A thread that receives one artifact; `finish` when the extension is done, or `abandon`."""

    def __init__(self, fifo: Path, received: Path, *, most_bytes: int | None = None) -> None:
        """Open both ends' files; raise ProtocolError if `fifo` is none.

        It may take `most_bytes`, and of what is free on its disk never the last tenth.
        """
        self.received = received
        room = _room(received.parent)
        self._most_bytes = min(most_bytes or room, room)
        self._rest: int | None = None  # what was in the pipe when it was over
        self.size_bytes = 0
        self.sha256 = ""
        self._reader = _open_fifo(fifo)
        # A writer of our own, so that the stream ends when we say so and not at the first close.
        self._own = os.open(f"/proc/self/fd/{self._reader}", os.O_WRONLY | os.O_CLOEXEC)
        self._over = os.eventfd(0, os.EFD_CLOEXEC)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._receive, daemon=True, name="reception")
        self._thread.start()

    def finish(self) -> None:
        """Take what is still in the pipe; raise DeployError if it could not all be written."""
        self._close()
        if self._failure is not None:
            raise DeployError(
                f"cannot write the result to {self.received}",
                details=str(self._failure),
                hint="make room on that disk, or choose another location",
            ) from self._failure
        if not self.size_bytes:
            raise DeployError("the write extension exited well but wrote nothing to its location")

    def abandon(self) -> None:
        """Stop, and keep nothing."""
        self._close()
        self.received.unlink(missing_ok=True)

    @property
    def failure(self) -> OSError | None:
        """Why writing stopped early: the extension then only knows of a broken pipe."""
        return self._failure

    def _close(self) -> None:
        if self._own < 0:
            return
        os.eventfd_write(self._over, 1)
        self._thread.join()
        os.close(self._own)
        os.close(self._over)
        self._own = -1

    def _receive(self) -> None:
        try:
            with self.received.open("xb+", buffering=0) as target:
                digest = GrowingFile(target.fileno())
                try:
                    while (size := self._move_to(target.fileno())) is not None:
                        self.size_bytes += size
                        self._refuse_too_large()
                        digest.grown(self.size_bytes)
                finally:
                    self.sha256 = digest.finish()
        except OSError as err:
            self._failure = err
        finally:
            os.close(self._reader)

    def _move_to(self, target: int) -> int | None:
        """Move the next piece and return its size; None once it is over and the pipe is empty."""
        poll = select.poll()
        for descriptor in (self._reader, self._over):
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll()]
        if self._over not in ready:
            return _moved(self._reader, target, CHUNK_BYTES)
        if self._rest is None:  # whoever goes on writing is not listened to
            self._rest = _waiting(self._reader)
        if not self._rest:
            return None
        moved = _moved(self._reader, target, min(self._rest, CHUNK_BYTES))
        self._rest -= moved
        return moved

    def _refuse_too_large(self) -> None:
        if self.size_bytes > self._most_bytes:
            words = f"it would be larger than {self._most_bytes} bytes, all that it may take there"
            raise OSError(errno.ENOSPC, words)


def _room(directory: Path) -> int:
    """Return how much may be written to a disk."""
    disk = os.statvfs(directory)
    return int(disk.f_bavail * disk.f_frsize * SHARE)


def _waiting(pipe: int) -> int:
    """Return how many bytes lie in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]  # type: ignore[no-any-return]


def _moved(pipe: int, target: int, most_bytes: int) -> int:
    """Let the kernel move what is in the pipe; copy it where the file system can't be moved to."""
    try:
        return os.splice(pipe, target, most_bytes)
    except OSError as err:
        if err.errno != errno.EINVAL:
            raise
    data = memoryview(os.read(pipe, most_bytes))
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return len(data)


def _open_fifo(path: Path) -> int:
    try:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        raise ProtocolError("the helper's stream can't be opened", details=str(err)) from err
    if not stat.S_ISFIFO(os.fstat(reader).st_mode):
        os.close(reader)
        raise ProtocolError("the helper's stream is no FIFO")
    with suppress(OSError):  # an ordinary user has a quota for pipes
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    return reader
