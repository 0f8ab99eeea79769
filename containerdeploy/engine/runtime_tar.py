"""Packs and unpacks what is in a local container's volume, never following a link out of it."""

import io
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from containerdeploy import syscalls

CHUNK_BYTES = 1 << 18
_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
_PATH = os.O_PATH | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def main(verb: str, volume: str, inside: str) -> int:
    """Pack to stdout or unpack from stdin, in a process of its own; failures go to stderr."""
    try:
        if verb == "pack":
            for piece in pack(volume, inside):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            unpack(volume, inside, sys.stdin.buffer)
    except (OSError, tarfile.TarError) as err:
        sys.stderr.write(str(err))
        return 1
    return 0


def pack(volume: str, inside: str) -> Iterator[bytes]:
    """Yield a tar of `inside` (a path in the volume); its names begin with the last part."""
    top = os.open(volume, _DIRECTORY | os.O_CLOEXEC)
    try:
        name = os.path.basename(inside.strip("/")) or "."
        yield from _pack_entry(top, inside.strip("/") or ".", name)
        yield bytes(2 * tarfile.BLOCKSIZE)
    finally:
        os.close(top)


def _pack_entry(top: int, inside: str, name: str) -> Iterator[bytes]:
    """Walk without recursion: a hostile tree may be deeper than Python's stack."""
    waiting = [(inside, name)]
    while waiting:
        path, shown = waiting.pop()
        descriptor = syscalls.openat2(top, path, _PATH, resolve=_BENEATH)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                readable = syscalls.openat2(top, path, _DIRECTORY, resolve=_BENEATH)
                try:
                    names = sorted(os.listdir(readable), reverse=True)
                finally:
                    os.close(readable)
                waiting += [(f"{path}/{child}", f"{shown}/{child}") for child in names]
                yield _header(shown, found, tarfile.DIRTYPE)
            elif stat.S_ISLNK(found.st_mode):
                target = os.readlink("", dir_fd=descriptor)
                yield _header(shown, found, tarfile.SYMTYPE, target)
            elif stat.S_ISREG(found.st_mode):
                yield from _pack_file(top, path, shown)
        finally:
            os.close(descriptor)


def _pack_file(top: int, path: str, name: str) -> Iterator[bytes]:
    """Yield header and content, exactly as many bytes as the header says."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = syscalls.openat2(top, path, flags, resolve=_BENEATH)
    try:
        found = os.fstat(descriptor)
        yield _header(name, found, tarfile.REGTYPE)
        left = found.st_size
        while left:
            piece = os.read(descriptor, min(left, CHUNK_BYTES))
            if not piece:
                raise OSError(f"{name} shrank while it was read")
            left -= len(piece)
            yield piece
        yield bytes(-found.st_size % tarfile.BLOCKSIZE)
    finally:
        os.close(descriptor)


def _header(name: str, found: os.stat_result, kind: bytes, target: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    member.mode = stat.S_IMODE(found.st_mode)
    member.uid, member.gid = found.st_uid, found.st_gid
    member.mtime = int(found.st_mtime)
    member.size = found.st_size if kind == tarfile.REGTYPE else 0
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Pieces(io.RawIOBase):
    """Reads from an iterable of bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        while not self._rest:
            try:
                self._rest = next(self._pieces)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def stream_of(pieces: Iterable[bytes]) -> BinaryIO:
    """Return a file that reads what the pieces hold."""
    return io.BufferedReader(_Pieces(pieces), CHUNK_BYTES)


def unpack(volume: str, inside: str, stream: BinaryIO) -> None:
    """Unpack a tar into a volume's directory: files, directories, links; OSError for all else."""
    outer = os.open(volume, _DIRECTORY | os.O_CLOEXEC)
    try:
        top = syscalls.openat2(outer, inside.strip("/") or ".", _DIRECTORY, resolve=_BENEATH)
    finally:
        os.close(outer)
    try:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
            for member in archive:
                _unpack_member(top, archive, member)
    finally:
        os.close(top)


def _unpack_member(top: int, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    parts = _parts(member.name)
    if not parts:
        return
    parent = _make_parents(top, parts[:-1])
    name = parts[-1]
    try:
        if member.isdir():
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent)
            made = syscalls.openat2(parent, name, _DIRECTORY, resolve=_BENEATH)
            _finish(made, member)
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
            _own(lambda: os.chown(name, *_ids(member), dir_fd=parent, follow_symlinks=False))
        elif member.islnk():
            _link(top, _parts(member.linkname), name, parent)
        elif member.isreg():
            made = os.open(name, _NEW_FILE | os.O_CLOEXEC, 0o600, dir_fd=parent)
            _copy(archive, member, made)
            _finish(made, member)
        else:
            raise OSError(f"{member.name}: neither file, directory nor link")
    finally:
        os.close(parent)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(f"{name}: leads out of the volume")
    return parts


def _make_parents(top: int, parts: list[str]) -> int:
    """Return a descriptor of the directory, made where it isn't there; no link is followed."""
    descriptor = os.dup(top)
    for part in parts:
        try:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=descriptor)
            following = syscalls.openat2(descriptor, part, _DIRECTORY, resolve=_BENEATH)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _link(top: int, target: list[str], name: str, parent: int) -> None:
    if not target:
        raise OSError(f"{name}: a hard link to nothing")
    beside = syscalls.openat2(top, "/".join(target[:-1]) or ".", _DIRECTORY, resolve=_BENEATH)
    try:
        os.link(target[-1], name, src_dir_fd=beside, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(beside)


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, target: int) -> None:
    content = archive.extractfile(member)
    while content is not None and (piece := content.read(CHUNK_BYTES)):
        while piece:
            piece = piece[os.write(target, piece) :]


def _finish(descriptor: int, member: tarfile.TarInfo) -> None:
    """Give owner, mode and time; the descriptor is closed."""
    try:
        _own(lambda: os.fchown(descriptor, *_ids(member)))
        os.fchmod(descriptor, stat.S_IMODE(member.mode))
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def _ids(member: tarfile.TarInfo) -> tuple[int, int]:
    return member.uid, member.gid


def _own(change: Callable[[], None]) -> None:
    """Change an owner; where an ordinary user's containers have no such id, root stays it."""
    try:
        change()
    except OSError:
        if os.geteuid() == 0 and _is_initial():
            raise


def _is_initial() -> bool:
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        return stream.read().split() == ["0", "0", "4294967295"]
