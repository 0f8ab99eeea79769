"""Writes lines to a text stream, which may lack characters or go away, without failing a run."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TextIO

_BATCH = 256


class LineStream:
    """A text stream to write lines to; after the first failure it is silent.

    `problem` says why, or is empty. A reader that went away (`| head`) must not stop a deploy.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        self.problem = ""

    @property
    def is_terminal(self) -> bool:
        with suppress(ValueError, OSError):
            return self._stream.isatty()
        return False

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write whole lines, few at a time; what the encoding lacks is escaped."""
        for some in _batches(lines):
            self._write("".join(f"{line}\n" for line in some))

    def _write(self, text: str) -> None:
        if self.problem:
            return
        if self._encoding not in ("utf-8", "utf8"):
            text = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as err:
            self.problem = str(err) or type(err).__name__
            self._abandon()

    def _abandon(self) -> None:
        """Point the descriptor elsewhere, so that the interpreter's own last flush doesn't fail."""
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Few enough to hold, many enough to be quick."""
    rest = iter(lines)
    while some := list(islice(rest, _BATCH)):
        yield some
