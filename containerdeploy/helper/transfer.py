"""Moves files to and from a helper on another host, as tar streams through the engine's API."""

import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from containerdeploy import wire
from containerdeploy.errors import DeployError, ProtocolError

CHUNK_BYTES = 1 << 20
LEFT_OUT = frozenset({".git"})


def pack_file(path: Path, name: str) -> Iterator[bytes]:
    """Yield a tar stream of one file."""
    with path.open("rb") as stream:
        info = tarfile.TarInfo(name)
        info.size = os.fstat(stream.fileno()).st_size
        info.mode = 0o644
        yield from _member(info, stream)
    yield tarfile.NUL * (2 * tarfile.BLOCKSIZE)


def pack_tree(root: Path) -> Iterator[bytes]:
    """Yield a tar stream of a definitions tree, without its version control."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(set(names) - LEFT_OUT)
        for name in sorted([*names, *files]):
            path = Path(directory, name)
            yield from _entry(path, str(path.relative_to(root)))
    yield tarfile.NUL * (2 * tarfile.BLOCKSIZE)


def _entry(path: Path, name: str) -> Iterator[bytes]:
    found = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
        yield info.tobuf()
    elif stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        yield info.tobuf()
    elif stat.S_ISREG(found.st_mode):
        with path.open("rb") as stream:
            info.size = os.fstat(stream.fileno()).st_size
            yield from _member(info, stream)


def _member(info: tarfile.TarInfo, stream: io.BufferedReader) -> Iterator[bytes]:
    """Yield header, exactly `info.size` bytes and padding; a file that shrinks is an error."""
    yield info.tobuf()
    left = info.size
    while left:
        chunk = stream.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise DeployError(f"{info.name} became shorter while it was read")
        left -= len(chunk)
        yield chunk
    yield tarfile.NUL * (-info.size % tarfile.BLOCKSIZE)


def unpack_file(stream: Iterable[bytes], artifact: wire.Artifact, target: Path) -> None:
    """Take the one regular file out of a tar stream, whatever it says its name is."""
    try:
        _unpack_file(stream, artifact, target)
    except tarfile.TarError as err:
        words = f"the artifact {artifact.name!r} did not come whole"
        raise ProtocolError(words, details=str(err)) from err


def _unpack_file(stream: Iterable[bytes], artifact: wire.Artifact, target: Path) -> None:
    with tarfile.open(fileobj=_Reader(stream), mode="r|") as archive:
        member = archive.next()
        if member is None or not member.isreg() or member.size != artifact.size_bytes:
            raise ProtocolError(f"the artifact {artifact.name!r} is not the file it was said to be")
        content = archive.extractfile(member)
        assert content is not None
        with target.open("xb") as file:
            while chunk := content.read(CHUNK_BYTES):
                file.write(chunk)


class _Reader(io.RawIOBase):
    """A file over an iterator of pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        end = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:end], self._rest[end:]
        return data
