"""Reads an artifact out of the FIFO that a write extension writes it to, as it comes.

The controller itself digests and writes what it reads: the file in place is what was digested, and
no byte of it is read twice.
"""

import fcntl
import hashlib
import os
import select
import stat
import threading
from contextlib import suppress
from pathlib import Path

from containerdeploy.errors import DeployError, ProtocolError

CHUNK_BYTES = 1 << 20


class Reception:
    """A thread that receives one artifact; `finish` when the extension is done, or `abandon`."""

    def __init__(self, fifo: Path, received: Path) -> None:
        """Open both ends' files; raise ProtocolError if `fifo` is none."""
        self.received = received
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
        digest = hashlib.sha256()
        try:
            with self.received.open("xb", buffering=0) as target:
                # One buffer for all: a new one for each piece costs as much as the digest.
                buffer = memoryview(bytearray(CHUNK_BYTES))
                while (size := self._read_into(buffer)) is not None:
                    digest.update(buffer[:size])
                    self.size_bytes += size
                    rest = buffer[:size]
                    while rest:
                        rest = rest[target.write(rest) :]
        except OSError as err:
            self._failure = err
        finally:
            os.close(self._reader)
            self.sha256 = digest.hexdigest()

    def _read_into(self, buffer: memoryview) -> int | None:
        """Read the next piece and return its size; None once it is over and the pipe is empty."""
        poll = select.poll()
        for descriptor in (self._reader, self._over):
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll()]
        return os.readv(self._reader, [buffer]) if self._reader in ready else None


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
