"""The last lines of a text of any length, in bounded memory."""

from containerdeploy.result.names import to_bytes

MAX_LINES = 40
MAX_BYTES = 16 * 1024


class Tail:
    """Keeps at most MAX_LINES lines and MAX_BYTES bytes of what it is fed."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, text: str, *, partial: bool) -> None:
        """Take a piece; without `partial` it ends a line."""
        self._kept += to_bytes(text)
        if not partial:
            self._kept += b"\n"
        if len(self._kept) > 2 * MAX_BYTES:
            del self._kept[:-MAX_BYTES]

    def seal(self) -> None:
        """Drop all that `text` would not show; the step is over."""
        self._kept = bytearray(self._last())

    def text(self) -> str:
        """Return the last lines; what is not UTF-8 comes back as lone surrogates."""
        return self._last().removesuffix(b"\n").decode("utf-8", "surrogateescape")

    def _last(self) -> bytes:
        lines = bytes(self._kept[-MAX_BYTES:]).split(b"\n")
        extra = 1 if lines[-1] == b"" else 0
        return b"\n".join(lines[-(MAX_LINES + extra) :])
