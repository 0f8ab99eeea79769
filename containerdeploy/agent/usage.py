"""What a step holds on disks: measured by descriptors while it may be at work in the same trees.

Counted as the file system counts it: a sparse file by its blocks, a hard link once, a file that was
unlinked for as long as a process has it open or mapped.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from containerdeploy.agent import trees
from containerdeploy.frozen import frozen

BLOCK_BYTES = 512
INODE_BYTES = 512  # what any entry costs at least
MAX_OPEN = 200  # directories at a time
MOST_HELD = 20_000  # open files and mappings to look at


class Unmeasurable(Exception):
    """Something is out of sight: moved, on its way, or too much; or measuring was called off."""


@frozen
class Place:
    """A directory that fills: as `path` for us, while the step sees it on the device `shown`."""

    path: str
    shown: int

    @property
    def device(self) -> int:
        return os.stat(self.path).st_dev


@frozen
class Amount:
    """How much of a file system: in bytes, and in files (directories and links included)."""

    size_bytes: int = 0
    files: int = 0


class _Tally:
    """Adds up what is found, by device, everything once."""

    def __init__(self) -> None:
        self._known: set[tuple[int, int]] = set()
        self._bytes: dict[int, int] = defaultdict(int)
        self._files: dict[int, int] = defaultdict(int)

    def add(self, found: os.stat_result, device: int) -> None:
        if found.st_nlink != 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self._known:
                return
            self._known.add((found.st_dev, found.st_ino))
        self._bytes[device] += found.st_blocks * BLOCK_BYTES + INODE_BYTES
        self._files[device] += 1

    def amounts(self) -> dict[int, Amount]:
        return {
            device: Amount(size_bytes=self._bytes[device], files=self._files[device])
            for device in self._bytes
        }


def measure(places: Sequence[Place], is_wanted: Callable[[], bool]) -> dict[int, Amount]:
    """Return what the places hold, by device, with the open files of all confined processes.

    Raises Unmeasurable, also when it is not wanted any more; OSError where a place is gone.
    """
    tally = _Tally()
    for place in places:
        for found in _entries(place.path, is_wanted):
            tally.add(found, found.st_dev)
    devices = {place.shown: place.device for place in places}
    devices |= {place.device: place.device for place in places}
    for found in _held_open(is_wanted):
        if found.st_dev in devices:
            tally.add(found, devices[found.st_dev])
    return tally.amounts()


def _entries(path: str, is_wanted: Callable[[], bool]) -> Iterator[os.stat_result]:
    """Yield everything below a directory; what goes away meanwhile is left out.

    The way down is kept open, so that a directory that is moved meanwhile is still walked; far down
    only its last part.
    """
    levels = [_Level(path)]
    try:
        while levels:
            if not is_wanted():
                raise Unmeasurable
            if (name := levels[-1].next()) is None:
                _leave(levels)
                continue
            with suppress(OSError):
                found = os.stat(name, dir_fd=levels[-1].descriptor, follow_symlinks=False)
                yield found
                if stat.S_ISDIR(found.st_mode):
                    levels.append(_Level(name, levels[-1].descriptor))
                    if len(levels) > MAX_OPEN:
                        levels[-MAX_OPEN - 1].lay_by()
    finally:
        for level in levels:
            level.close()


class _Level:
    """A directory on the way down, and the names that are still to be looked at.

    They are read as they are wanted: there may be millions.
    """

    def __init__(self, name: str, parent: int | None = None) -> None:
        self.descriptor = trees.open_directory(name, parent)
        try:
            self.identity = trees.identity(self.descriptor)
            self._entries = os.scandir(self.descriptor)
            self._names: Iterator[str] = (entry.name for entry in self._entries)
        except OSError:
            os.close(self.descriptor)
            raise

    def next(self) -> str | None:
        return next(self._names, None)

    def lay_by(self) -> None:
        """Hold no descriptor for now."""
        self._names = iter(list(self._names))
        self.close()

    def close(self) -> None:
        self._entries.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def _leave(levels: list[_Level]) -> None:
    """Go up one level, which has to be opened again where that was long ago."""
    below = levels.pop()
    try:
        if levels and levels[-1].descriptor < 0:
            levels[-1].descriptor = trees.climb(below.descriptor, levels[-1].identity)
    except trees.TreeMoved as err:
        raise Unmeasurable from err
    finally:
        below.close()


def _held_open(is_wanted: Callable[[], bool]) -> Iterator[os.stat_result]:
    """Yield the regular files that have no name any more and are open or mapped in the room."""
    held = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        if not _is_confined(process):
            continue
        for path in _ways(process):
            held += 1
            if held > MOST_HELD or not is_wanted():
                raise Unmeasurable
            with suppress(OSError):
                found = os.stat(path)
                if stat.S_ISSOCK(found.st_mode) and _is_carrying(path):
                    raise Unmeasurable
                if found.st_nlink == 0 and stat.S_ISREG(found.st_mode):
                    yield found


def _ways(process: str) -> Iterator[str]:
    """Yield paths that lead to what a process holds; raise Unmeasurable where some is hidden.

    Each thread may have descriptors of its own, and the first may be gone before the others. What
    is in memory is the same for all.
    """
    in_memory: list[str] = []
    for thread in _names(f"/proc/{process}/task"):
        yield from (f"/proc/{thread}/fd/{name}" for name in _names(f"/proc/{thread}/fd"))
        in_memory = in_memory or [f"/proc/{thread}/exe", *_mappings(thread)]
    yield from in_memory


def _names(directory: str) -> list[str]:
    with suppress(OSError):  # it ended
        return os.listdir(directory)
    return []


def _mappings(thread: str) -> list[str]:
    """Return paths to what a process has mapped.

    An ordinary user may read of mappings, but not look at what is mapped: Unmeasurable if that is
    a file that has no name any more and isn't the kernel's own, as shared memory is.
    """
    folder = f"/proc/{thread}/map_files"
    found = [f"{folder}/{name}" for name in _names(folder)]
    if found and not os.access(found[0], os.F_OK):
        with suppress(OSError), open(f"/proc/{thread}/maps", "rb") as stream:
            nameless = {_device(line) for line in stream if line.endswith(b" (deleted)\n")}
            if nameless - {_device_of_shared_memory()}:
                raise Unmeasurable
    return found


def _device(line: bytes) -> int:
    major, _, minor = line.split()[3].partition(b":")
    return os.makedev(int(major, 16), int(minor, 16))


def _device_of_shared_memory() -> int:
    with os.fdopen(os.memfd_create("")) as file:
        return os.fstat(file.fileno()).st_dev


def _is_carrying(path: str) -> bool:
    """Say whether descriptors are on their way through a socket: nobody else can be seen there.

    https://git.kernel.org/torvalds/c/3c32da19a858, Linux 5.6
    """
    with open(path.replace("/fd/", "/fdinfo/"), "rb") as stream:
        return any(line.startswith(b"scm_fds:") and line.split()[1] != b"0" for line in stream)


def _is_confined(process: str) -> bool:
    """Say whether a process is in a pid namespace below ours."""
    with suppress(OSError), open(f"/proc/{process}/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"NSpid:"):
                return len(line.split()) > 2
    return False
