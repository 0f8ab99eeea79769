"""Digests a file that is still being written, so that its digest is there when the file is."""

import hashlib
import os
import queue
import threading

CHUNK_BYTES = 1 << 18  # stays in a processor's cache between reading and digesting


class GrowingFile:
    """A thread that follows a file of ours; call `grown` after each write, `finish` after the last.

    What it digests is what lies in the file, not what somebody meant to write there.
    """

    def __init__(self, descriptor: int) -> None:
        """Take a descriptor that can be read from; it has to stay open until `finish`."""
        self._descriptor = descriptor
        self._sizes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._digest = hashlib.sha256()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True, name="digest")
        self._thread.start()

    def grown(self, size: int) -> None:
        """Say that the first `size` bytes are written and will stay as they are."""
        self._sizes.put(size)

    def finish(self) -> str:
        """Return the SHA-256 as hex; raise OSError if the file could not be read."""
        self._sizes.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._digest.hexdigest()

    def _follow(self) -> None:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        at = 0
        while (size := self._sizes.get()) is not None:
            try:
                while at < size and self._failure is None:
                    at += self._take(buffer[: size - at], at)
            except OSError as err:
                self._failure = err

    def _take(self, buffer: memoryview, at: int) -> int:
        read = os.preadv(self._descriptor, [buffer], at)
        if not read:
            raise OSError("the file is shorter than what was written to it")
        self._digest.update(buffer[:read])
        return read
