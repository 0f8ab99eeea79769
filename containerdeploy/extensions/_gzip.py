"""Compresses with gzip on all cores, to bytes that depend on neither the cores nor a library.

GNU gzip is everywhere, and its output has been the same for decades; pigz and Python write what
their zlib makes of it, igzip what the processor does. gzip has one thread, so the input is cut
into blocks of a fixed size, each a member of its own: RFC 1952 makes their sequence one file.
"""

import os
import subprocess
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

BLOCK_BYTES = 4 << 20
MAX_THREADS = 16


class GzipWriter:
    """Takes bytes, gives a gzip file to `write`; complete only after a `with` without error."""

    def __init__(self, write: Callable[[bytes], object], environment: dict[str, str]) -> None:
        threads = min(len(os.sched_getaffinity(0)), MAX_THREADS)
        self._pass_on = write
        self._environment = environment
        self._threads = ThreadPoolExecutor(threads)
        self._max_pending = 2 * threads
        self._pending: deque[Future[bytes]] = deque()
        self._block = bytearray()

    def __enter__(self) -> "GzipWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._submit(bytes(self._block))
                self._drain(0)
        finally:
            self._threads.shutdown(cancel_futures=True)

    def write(self, data: bytes) -> None:
        """Take the bytes; may wait for earlier ones to be compressed."""
        self._block += data
        while len(self._block) >= BLOCK_BYTES:
            self._submit(bytes(self._block[:BLOCK_BYTES]))
            del self._block[:BLOCK_BYTES]
            self._drain(self._max_pending)

    def _submit(self, block: bytes) -> None:
        self._pending.append(self._threads.submit(self._compress, block))

    def _drain(self, most: int) -> None:
        while len(self._pending) > most:
            self._pass_on(self._pending.popleft().result())

    def _compress(self, block: bytes) -> bytes:
        argv = ["gzip", "-n", "-6", "-c"]
        done = subprocess.run(argv, input=block, stdout=-1, check=True, env=self._environment)
        return done.stdout
