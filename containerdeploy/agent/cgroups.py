"""A control group for every step: memory and process limits, peak memory, out-of-memory kills.

In a private cgroup namespace the agent can mount the controllers and see its own container's group
as their root, version 1 (memory, pids) or 2. Where it can't, rlimits bound single processes only,
and `flavour` says so.
"""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TypeVar

from containerdeploy import syscalls
from containerdeploy.agent.launcher import Launcher, remove
from containerdeploy.frozen import frozen

T = TypeVar("T")

PLACE = "/run/containerdeploy/cgroup"
FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
V1 = ("memory", "pids")
Flavour = Literal["cgroup-v1", "cgroup-v2", "rlimits"]


@frozen
class Group:
    """One step's group; its first process is started through `launch` and enters `to_enter`."""

    flavour: Flavour
    directories: tuple[str, ...]
    rlimits: tuple[tuple[int, int], ...] = ()
    launcher: Launcher | None = None

    @property
    def to_enter(self) -> tuple[str, ...]:
        """Where the first process has to put itself: nowhere if it is born in the group."""
        return () if self.launcher else self.directories

    def launch(self, start: Callable[[], T]) -> T:
        """Call `start`, which forks the group's first process."""
        return start() if self.launcher is None else self.launcher.call(start)

    def peak_memory_bytes(self) -> int:
        """Peak of all processes together, page cache included; 0 where nobody counts it."""
        name = "memory.max_usage_in_bytes" if self.flavour == "cgroup-v1" else "memory.peak"
        return int(self._read(name) or 0)

    def memory_kills(self) -> int:
        name = "memory.oom_control" if self.flavour == "cgroup-v1" else "memory.events"
        rows = [line.split() for line in self._read(name).splitlines()]
        return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] == "oom_kill")

    def _read(self, name: str) -> str:
        if not self.directories:
            return ""
        with suppress(OSError), open(f"{self.directories[0]}/{name}", encoding="ascii") as stream:
            return stream.read()
        return ""


class Groups:
    """The controllers that this place offers."""

    def __init__(self, flavour: Flavour, roots: tuple[str, ...]) -> None:
        self.flavour: Flavour = flavour
        self.roots = roots
        self._launcher: Launcher | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Stay ahead of the steps while the block runs, where a thread can."""
        if self.flavour == "cgroup-v1":
            self._launcher = Launcher(self.roots)
        try:
            yield
        finally:
            if self._launcher is not None:
                self._launcher.close()
                self._launcher = None

    @contextmanager
    def group(self, *, memory_bytes: int, pids: int) -> Iterator[Group]:
        """Make a group for one step and remove it afterwards, when its processes are dead."""
        if self.flavour == "rlimits":
            yield Group(flavour="rlimits", directories=(), rlimits=_rlimits(memory_bytes, pids))
            return
        launcher, directories = self._launcher, self._new_group()
        try:
            for directory in directories:
                _set_limits(directory, memory_bytes, pids + (launcher is not None))
            yield Group(flavour=self.flavour, directories=directories, launcher=launcher)
        finally:
            if launcher is not None:
                launcher.leave()
            for directory in directories:
                remove(directory)

    def _new_group(self) -> tuple[str, ...]:
        if self._launcher is not None:
            return self._launcher.claim()
        directories = tuple(f"{root}/step" for root in self.roots)
        for directory in directories:
            os.makedirs(directory, exist_ok=True)
        return directories


def find() -> Groups:
    """Mount what controllers there are; never fails, the worst case is `rlimits`.

    First a cgroup namespace of our own: Podman on version 1 gives its containers the host's, and
    the groups of two helpers would meet at the host's root.
    """
    with suppress(OSError):
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    for attempt in (_version_1, _version_2):
        with suppress(OSError):
            return attempt()
    return Groups("rlimits", ())


def _version_1() -> Groups:
    roots = tuple(f"{PLACE}/{name}" for name in V1)
    for name, root in zip(V1, roots, strict=True):
        os.makedirs(root, exist_ok=True)
        syscalls.mount("cgroup", root, "cgroup", FLAGS, name)
        _probe(root)
    return Groups("cgroup-v1", roots)


def _version_2() -> Groups:
    """Mount the unified tree; the agent moves to a leaf, for only leaves may hold processes."""
    root = f"{PLACE}/unified"
    os.makedirs(root, exist_ok=True)
    syscalls.mount("cgroup2", root, "cgroup2", FLAGS)
    os.makedirs(f"{root}/agent", exist_ok=True)
    _write(f"{root}/agent/cgroup.procs", "0")
    _write(f"{root}/cgroup.subtree_control", "+memory +pids")
    _probe(root)
    return Groups("cgroup-v2", (root,))


def _probe(root: str) -> None:
    os.mkdir(f"{root}/probe")
    os.rmdir(f"{root}/probe")


def _set_limits(directory: str, memory_bytes: int, pids: int) -> None:
    """Set what this controller knows; memory and swap together are bounded by `memory_bytes`."""
    _write(f"{directory}/memory.limit_in_bytes", str(memory_bytes), optional=True)
    _write(f"{directory}/memory.memsw.limit_in_bytes", str(memory_bytes), optional=True)
    _write(f"{directory}/memory.max", str(memory_bytes), optional=True)
    _write(f"{directory}/memory.swap.max", "0", optional=True)
    _write(f"{directory}/pids.max", str(pids), optional=True)


def _write(path: str, text: str, *, optional: bool = False) -> None:
    if optional and not os.path.exists(path):
        return
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def _rlimits(memory_bytes: int, pids: int) -> tuple[tuple[int, int], ...]:
    """Bound each process; RLIMIT_NPROC counts all of the same real user, so it is wide."""
    return ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_NPROC, max(pids, 1024)))
