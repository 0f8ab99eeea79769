"""What a step changed, read off its upper layer and compared with the tree before it.

Modification times alone are no change: overlayfs copies a file up as soon as it is opened for
writing, and copies whole files for a change of mode, so contents are compared.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from containerdeploy import wire
from containerdeploy.agent import overlay, trees
from containerdeploy.agent.contract import Contract
from containerdeploy.agent.events import Emitter
from containerdeploy.frozen import replace

BATCH_CHARACTERS = 4 * 1024
LONGEST_PATH = 4 * 1024  # six bytes for the worst character: two of these fit a line
COMPARE_BYTES = 1 << 18
NOTHING = "/"  # begins no path below a root


class Report:
    """Counts by kind of change; the paths themselves go out as events, wire.MOST_LISTED at most."""

    def __init__(self, emitter: Emitter, step: str) -> None:
        self.emitter = emitter
        self.step = step
        self.counts: Counter[str] = Counter()
        self._batch: list[wire.Change] = []
        self._size = 0

    def add(self, change: wire.Change) -> None:
        self.counts[change.kind] += 1
        if self.counts.total() > wire.MOST_LISTED:
            return
        if len(change.path) > LONGEST_PATH:
            change = _shortened(change)
        self._batch.append(change)
        self._size += len(change.path) + len(change.detail)
        if len(self._batch) >= wire.CHANGES_PER_EVENT or self._size >= BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        if self._batch:
            self.emitter.send(wire.Changed(step=self.step, changes=tuple(self._batch)))
        self._batch, self._size = [], 0


def report(
    told: Report, upper: str, before: str, contract: Contract | None, own: str
) -> Counter[str]:
    """Tell what the layer `upper` changed in the tree `before`; return counts by kind."""
    for change in between(upper, before, contract, own):
        told.add(change)
    told.flush()
    return told.counts


def between(upper: str, before: str, contract: Contract | None, own: str) -> Iterator[wire.Change]:
    """Yield what a layer changes, in order of path; let the contract judge all of it.

    `own` is how the names of the layer's attributes begin that are its overlay's.
    """
    upper_root, before_root = trees.open_directory(upper), trees.open_directory(before)
    try:
        yield from compare(upper_root, before_root, own, contract)
    finally:
        os.close(upper_root)
        os.close(before_root)


def compare(
    upper_root: int, before_root: int, own: str, contract: Contract | None = None
) -> Iterator[wire.Change]:
    """Yield the changes in order of path; let the contract judge every entry of the layer."""
    top, below = ((root, ".", os.fstat(root)) for root in (upper_root, before_root))
    yield from _judged(contract, _compare_same_type(".", top, below, own))
    opaque = NOTHING  # what hides all below it, marked or not
    with _Before(before_root) as before:
        for directory, path, name, found in trees.walk(upper_root):
            beside = before.directory(os.path.dirname(path))
            old = _lstat(name, beside) if beside is not None else None
            change = next(_judge(path, (directory, name, found), (beside, old), own), None)
            if contract is not None:
                contract.entry(path, (directory, name, found), old, change)
            if change is not None:
                yield change
            if not path.startswith(opaque) and _is_opaque(directory, name, found, own):
                opaque = f"{path}/"
            if old is not None and f"{path}/".startswith(opaque) and stat.S_ISDIR(found.st_mode):
                yield from _judged(contract, _gone(path, directory, beside, name))


def _judged(contract: Contract | None, changes: Iterator[wire.Change]) -> Iterator[wire.Change]:
    for change in changes:
        if contract is not None:
            contract.change(change)
        yield change


class _Before:
    """Descriptors of directories of the tree before, the one last used kept open."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._path = ""
        self._descriptor: int | None = os.dup(root)

    def __enter__(self) -> "_Before":
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def directory(self, path: str) -> int | None:
        """Open a directory below the root, following no link; None where there is none."""
        if self._descriptor is None and path.startswith(self._path + "/"):
            return None
        if path != self._path:
            self.__exit__()
            self._path, self._descriptor = path, self._open(path)
        return self._descriptor

    def _open(self, path: str) -> int | None:
        current = os.dup(self._root)
        for name in filter(None, path.split("/")):
            try:
                deeper = trees.open_directory(name, current)
            except OSError:
                return None
            finally:
                os.close(current)
            current = deeper
        return current


_Entry = tuple[int, str, os.stat_result]


def _judge(
    path: str, new: _Entry, old: tuple[int | None, os.stat_result | None], own: str
) -> Iterator[wire.Change]:
    _, _, now = new
    directory, was = old
    if stat.S_ISCHR(now.st_mode) and now.st_rdev == 0:
        if was is not None:
            yield wire.Change(kind="deleted", path=path, size_before=_size(was))
    elif was is None or directory is None:
        yield wire.Change(kind="added", path=path, size_after=_size(now))
    elif stat.S_IFMT(was.st_mode) != stat.S_IFMT(now.st_mode):
        yield wire.Change(
            kind="replaced",
            path=path,
            size_before=_size(was),
            size_after=_size(now),
            detail=f"{_type(was)} → {_type(now)}",
        )
    else:
        yield from _compare_same_type(path, new, (directory, new[1], was), own)


def _compare_same_type(path: str, new: _Entry, old: _Entry, own: str) -> Iterator[wire.Change]:
    now, was = new[2], old[2]
    details = []
    kind: wire.ChangeKind | None = None
    if overlay.unmarked(_xattrs(*new[:2]), own) != _xattrs(*old[:2]):
        kind = "xattr"
        details.append("extended attributes")
    if stat.S_IMODE(now.st_mode) != stat.S_IMODE(was.st_mode):
        kind = "mode"
        details.append(f"mode {stat.S_IMODE(was.st_mode):04o} → {stat.S_IMODE(now.st_mode):04o}")
    if (now.st_uid, now.st_gid) != (was.st_uid, was.st_gid):
        kind = "owner"
        details.append(f"owner {was.st_uid}:{was.st_gid} → {now.st_uid}:{now.st_gid}")
    if not _same_content(new, old):
        kind = "modified"
    if kind is not None:
        yield wire.Change(
            kind=kind,
            path=path,
            size_before=_size(was),
            size_after=_size(now),
            detail=", ".join(details),
        )


def _same_content(new: _Entry, old: _Entry) -> bool:
    now, was = new[2], old[2]
    if stat.S_ISLNK(now.st_mode):
        return os.readlink(new[1], dir_fd=new[0]) == os.readlink(old[1], dir_fd=old[0])
    if stat.S_ISBLK(now.st_mode) or stat.S_ISCHR(now.st_mode):
        return now.st_rdev == was.st_rdev
    if not stat.S_ISREG(now.st_mode):
        return True
    return now.st_size == was.st_size and _same_bytes(new, old)


def _same_bytes(new: _Entry, old: _Entry) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    ours = os.open(new[1], flags, dir_fd=new[0])
    theirs = os.open(old[1], flags, dir_fd=old[0])
    try:
        while True:
            left, right = os.read(ours, COMPARE_BYTES), os.read(theirs, COMPARE_BYTES)
            if left != right or not left:
                return left == right
    finally:
        os.close(ours)
        os.close(theirs)


def _gone(path: str, directory: int, beside: int | None, name: str) -> Iterator[wire.Change]:
    """An opaque directory hides what was below it: tell the entries that have no successor."""
    with suppress(OSError):
        old = trees.open_directory(name, beside)
        new = trees.open_directory(name, directory)
        try:
            for lost in sorted(set(os.listdir(old)) - set(os.listdir(new))):
                found = os.stat(lost, dir_fd=old, follow_symlinks=False)
                yield wire.Change(kind="deleted", path=f"{path}/{lost}", size_before=_size(found))
        finally:
            os.close(old)
            os.close(new)


def _is_opaque(directory: int, name: str, found: os.stat_result, own: str) -> bool:
    values = _xattrs(directory, name) if stat.S_ISDIR(found.st_mode) else {}
    return values.get(f"{own}opaque") == b"y"


def _xattrs(directory: int, name: str) -> dict[str, bytes]:
    path = f"/proc/self/fd/{directory}/{name}"
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in names}
    except OSError as err:  # too many to be listed are not the same as none
        return {} if err.errno == errno.ENOTSUP else {"": str(err.errno).encode()}


def _shortened(change: wire.Change) -> wire.Change:
    """A tree of a thousand levels has paths that no line of events could hold."""
    half = LONGEST_PATH // 2 - 1
    path = f"{change.path[:half]}…{change.path[-half:]}"
    return replace(change, path=path, detail=f"a path of {len(change.path)} characters")


def _lstat(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None


def _size(found: os.stat_result) -> int | None:
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _type(found: os.stat_result) -> str:
    names = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symbolic link"}
    return names.get(stat.S_IFMT(found.st_mode), "special file")
