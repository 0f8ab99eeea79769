"""A system's tree that is read and written as the booted system would see it, and no further.

The tree may be hostile. Every path is walked by directory descriptors, one name at a time, without
the kernel following a link: an absolute link starts again at the tree's root, `..` stops there.
Errors are OSErrors that name the path in the tree.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

MAX_LINKS = 40
MAX_CONFIG_BYTES = 16 << 20
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Owner(NamedTuple):
    """A user and a group by number."""

    uid: int
    gid: int


class Place(NamedTuple):
    """Where a path ends: a name (`.` for the directory itself) in a directory's descriptor."""

    directory: int
    name: str

    def stat(self) -> os.stat_result | None:
        """Return what is there, a link being a link, or None."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None


class Tree:
    """The root file system below `root`; all its methods take paths as inside the system."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    @contextmanager
    def place(
        self, path: str, *, follow: bool = True, create_parents: bool = False
    ) -> Iterator[Place]:
        """Walk to `path`; `follow` says whether a link at its end is followed too."""
        with _named(path), _Walk(self._root) as walk:
            yield walk.to(path, follow=follow, create_parents=create_parents)

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result | None:
        """Return what is at `path`, or None; a link that leads nowhere is nothing to follow."""
        try:
            with self.place(path, follow=follow) as place:
                return place.stat()
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes:
        """Return the bytes of a configuration file, nothing when it is missing."""
        try:
            with self.place(path) as place:
                return _read_config(place)
        except FileNotFoundError:
            return b""

    def put(
        self,
        path: str,
        content: Iterable[bytes],
        *,
        mode: int | None = None,
        owner: Owner | None = None,
        follow: bool = True,
        create_parents: bool = True,
    ) -> None:
        """Make `path` a regular file of that content, replacing an old one in one step.

        Without `mode` an old file's mode, ACL and user attributes stay, a new file gets 0644;
        without `owner` an old file keeps its owner. With `follow` off, a link is replaced itself.
        """
        with self.place(path, follow=follow, create_parents=create_parents) as place:
            old = place.stat()
            replaceable = (stat.S_ISREG, stat.S_ISLNK)
            if old is not None and not any(kind(old.st_mode) for kind in replaceable):
                raise OSError(errno.EEXIST, "exists and is not a regular file")
            with _replacing(place) as new:
                for chunk in content:
                    _write_all(new, chunk)
                _dress(new, place, old, mode=mode, owner=owner)

    def append_lines(
        self,
        path: str,
        lines: Sequence[bytes],
        *,
        mode: int | None = None,
        owner: Owner | None = None,
    ) -> None:
        """Append whole lines to a configuration file; what is there is never glued to them."""
        old = self.read(path)
        gap = b"\n" if old and not old.endswith(b"\n") else b""
        content = (old, gap, *(line + b"\n" for line in lines))
        self.put(path, content, mode=mode, owner=owner)

    def make_link(self, path: str, target: str, owner: Owner | None = None) -> None:
        """Make `path` a link to `target`, replacing a file or a link."""
        with self.place(path, follow=False) as place:
            old = place.stat()
            if old is not None and stat.S_ISDIR(old.st_mode):
                raise OSError(errno.EISDIR, "is a directory, and a link can't replace it")
            temporary = _temporary_name()
            os.symlink(target, temporary, dir_fd=place.directory)
            with _undone_by_unlink(place.directory, temporary):
                if owner is not None:
                    os.chown(temporary, *owner, dir_fd=place.directory, follow_symlinks=False)
                _rename(place.directory, temporary, place.name)

    def make_directory(
        self,
        path: str,
        mode: int,
        owner: Owner | None = None,
        *,
        create_parents: bool = False,
    ) -> None:
        """Make `path` a directory with that mode and owner, be it there already or not."""
        with self.place(path, create_parents=create_parents) as place:
            if place.stat() is None:
                os.mkdir(place.name, 0o700, dir_fd=place.directory)
            made = os.open(place.name, os.O_DIRECTORY | _READ, dir_fd=place.directory)
            with ExitStack() as stack:
                stack.callback(os.close, made)
                if owner is not None:
                    os.fchown(made, *owner)
                os.fchmod(made, mode)

    def rename(self, path: str, name: str) -> bool:
        """Give what is at `path`, be it a link, another name beside it; False if nothing is."""
        try:
            with self.place(path, follow=False) as place:
                _rename(place.directory, place.name, name)
        except FileNotFoundError:
            return False
        return True


class _Walk:
    """The directories from the root to where a path has led so far, as open descriptors."""

    def __init__(self, root: int) -> None:
        self._open = [os.dup(root)]

    def __enter__(self) -> "_Walk":
        return self

    def __exit__(self, *_: object) -> None:
        self._rise_to(0)

    def to(self, path: str, *, follow: bool, create_parents: bool) -> Place:
        pending = _names(path)
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                self._rise_to(max(1, len(self._open) - 1))
                continue
            target = self._link_target(name) if pending or follow else None
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.startswith("/"):
                    self._rise_to(1)
                pending += _names(target)
            elif pending:
                self._enter(name, create=create_parents)
            else:
                return Place(self._open[-1], name)
        return Place(self._open[-1], ".")

    def _link_target(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self._open[-1])
        except OSError as err:
            if err.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def _enter(self, name: str, *, create: bool) -> None:
        try:
            self._open.append(os.open(name, _STEP, dir_fd=self._open[-1]))
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(name, 0o755, dir_fd=self._open[-1])
            self._open.append(os.open(name, _STEP, dir_fd=self._open[-1]))

    def _rise_to(self, depth: int) -> None:
        while len(self._open) > depth:
            os.close(self._open.pop())


def _names(path: str) -> list[str]:
    """Return the path's names, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Let an OSError name the path in the tree, not the last name or nothing."""
    try:
        yield
    except OSError as err:
        raise OSError(err.errno, err.strerror, path) from err


def _read_config(place: Place) -> bytes:
    found = place.stat()
    if found is None:
        return b""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    if found.st_size > MAX_CONFIG_BYTES:
        raise OSError(errno.EFBIG, f"has {found.st_size} bytes, too many for such a file")
    with os.fdopen(os.open(place.name, _READ, dir_fd=place.directory), "rb") as file:
        return file.read()


@contextmanager
def _replacing(place: Place) -> Iterator[int]:
    """Give a new file's descriptor; at the end it takes the place's name, or is gone."""
    temporary = _temporary_name()
    new = os.open(temporary, _CREATE, 0o600, dir_fd=place.directory)
    with _undone_by_unlink(place.directory, temporary):
        with ExitStack() as stack:
            stack.callback(os.close, new)
            yield new
        _rename(place.directory, temporary, place.name)


@contextmanager
def _undone_by_unlink(directory: int, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise


def _temporary_name() -> str:
    """Return a short name, which fits beside a file whose own name has 255 bytes."""
    return f".new.{os.getpid()}"


def _rename(directory: int, old: str, new: str) -> None:
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def _write_all(opened: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(opened, view) :]


def _dress(
    new: int,
    place: Place,
    old: os.stat_result | None,
    *,
    mode: int | None,
    owner: Owner | None,
) -> None:
    """Give a new file its owner and mode, the old file's where none is asked for."""
    inherits = old is not None and stat.S_ISREG(old.st_mode)
    if old is not None and inherits:
        os.fchown(new, *(owner or Owner(old.st_uid, old.st_gid)))
        if mode is None:
            _copy_attributes(place, new)
            mode = stat.S_IMODE(old.st_mode)
    elif owner is not None:
        os.fchown(new, *owner)
    os.fchmod(new, 0o644 if mode is None else mode)


def _copy_attributes(place: Place, new: int) -> None:
    """Copy the ACL and the user's attributes; a capability ends with the content it was for."""
    opened = os.open(place.name, _READ, dir_fd=place.directory)
    with ExitStack() as stack:
        stack.callback(os.close, opened)
        for name in os.listxattr(opened):
            if name.startswith("user.") or name == "system.posix_acl_access":
                os.setxattr(new, name, os.getxattr(opened, name))
