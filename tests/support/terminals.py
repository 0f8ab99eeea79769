"""A terminal of the test's own, to see what is sent to one."""

import fcntl
import os
import struct
import termios
import threading
from contextlib import suppress
from types import TracebackType


class Terminal:
    """`stream` is a terminal; when the `with` is over, `sent` is all that was written to it."""

    def __init__(self, *, columns: int = 200) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._columns = str(columns)
        self.stream = open(slave, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._environment: dict[str, str | None] = {}
        self._has_hung_up = False

    @property
    def sent(self) -> str:
        return b"".join(self._pieces).decode("utf-8")

    def hang_up(self) -> None:
        """Take the terminal away from whoever writes to it."""
        self._has_hung_up = True
        self.stream.flush()
        os.close(self._master)

    def __enter__(self) -> "Terminal":
        for name, value in (("TERM", "xterm"), ("COLUMNS", self._columns)):
            self._environment[name] = os.environ.get(name)
            if name != "TERM" or os.environ.get(name) != "dumb":
                os.environ[name] = value
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, before in self._environment.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        with suppress(OSError):
            self.stream.close()
        self._reader.join(timeout=10)
        if not self._has_hung_up:
            os.close(self._master)

    def _read(self) -> None:
        try:
            while piece := os.read(self._master, 65536):
                self._pieces.append(piece)
        except OSError:
            pass
