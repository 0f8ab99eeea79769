"""Where the body of a proxy request ends: what comes after it belongs to no host."""

import re

from containerdeploy.gateway.request import BadRequest

_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?")
MAX_SIZE_LINE = 256


class Sized:
    """A body of as many bytes as its head says; none is one of 0."""

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def is_over(self) -> bool:
        return self._left == 0

    def take(self, data: bytes) -> int:
        """Return how many of these bytes still belong to the body."""
        taken = min(self._left, len(data))
        self._left -= taken
        return taken


class Chunked:
    """A body in chunks (RFC 9112, 7.1), without trailers; raises BadRequest for any other form."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0  # of a chunk and the line end behind it
        self._is_last = False
        self.is_over = False

    def take(self, data: bytes) -> int:
        """Return how many of these bytes still belong to the body."""
        taken = 0
        while taken < len(data) and not self.is_over:
            taken += self._data(data, taken) if self._left else self._size(data, taken)
        return taken

    def _data(self, data: bytes, start: int) -> int:
        """Take a chunk's bytes; the last two of it have to be a line's end."""
        piece = data[start : start + self._left]
        for offset, expected in ((2, 0x0D), (1, 0x0A)):
            position = self._left - offset
            if 0 <= position < len(piece) and piece[position] != expected:
                raise BadRequest("a chunk that ends in no line end")
        self._left -= len(piece)
        self.is_over = self._is_last and not self._left
        return len(piece)

    def _size(self, data: bytes, start: int) -> int:
        end = data.find(b"\n", start) + 1 or len(data)
        self._line += data[start:end]
        if len(self._line) > MAX_SIZE_LINE:
            raise BadRequest("a chunk with an endless first line")
        if self._line.endswith(b"\n"):
            found = _SIZE.fullmatch(self._line[:-2]) if self._line.endswith(b"\r\n") else None
            if not found:
                raise BadRequest("a chunk without a plain size")
            self._left = int(found[1], 16) + 2
            self._is_last = self._left == 2
            self._line = b""
        return end - start


Body = Sized | Chunked
