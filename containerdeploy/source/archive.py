"""Tells a source by its first bytes, whatever its name says."""

from pathlib import Path
from typing import Literal

from containerdeploy.errors import SourceError

Compression = Literal["none", "gz", "xz", "bz2", "zst"]

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bz2"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
_BLOCK = 512
_CHECKSUM = slice(148, 156)


def compression(path: Path) -> Compression:
    """Return how an archive is compressed; raise SourceError if it is no archive that is known."""
    try:
        with path.open("rb") as file:
            head = file.read(_BLOCK)
    except OSError as err:
        raise SourceError(f"the source {str(path)!r} can't be read", details=str(err)) from err
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if _is_skippable_zst(head):
        return "zst"
    if _is_tar(head):
        return "none"
    raise SourceError(
        f"the source {str(path)!r} is no tar archive",
        details=f"it begins with {head[:16]!r}" if head else "it is empty",
        hint="give a tar archive, plain or compressed with gzip, xz, bzip2 or zstd",
    )


def _is_skippable_zst(head: bytes) -> bool:
    """Recognise the frame that pzstd puts first (RFC 8878, section 3.1.2)."""
    return 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18" if head else False


def _is_tar(head: bytes) -> bool:
    """Check the first header's sum, the one thing that all dialects of tar share."""
    if len(head) < _BLOCK:
        return False
    if not any(head):
        return True  # an empty archive is nothing but zeros
    try:
        wanted = int(head[_CHECKSUM].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return sum(head) - sum(head[_CHECKSUM]) + 8 * ord(" ") == wanted
