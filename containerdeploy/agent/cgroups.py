"""A control group for every step: memory, process and processor limits, and what came of them.

Where there are no controllers rlimits bound what they can, and Hello says what is weaker.
"""

import math
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

from containerdeploy import wire
from containerdeploy.agent import controllers
from containerdeploy.agent.controllers import Controller, Found
from containerdeploy.agent.launcher import Launcher, remove
from containerdeploy.frozen import NOTHING, frozen

T = TypeVar("T")

UNLIMITED_BYTES = 1 << 62


@frozen
class Group:
    """One step's group; its first process is started through `launch` and enters `to_enter`.

    What no group holds to is left to `rlimits` and `processors`, a number of whole ones.
    """

    directories: Mapping[Controller, str] = NOTHING
    rlimits: tuple[tuple[int, int], ...] = ()
    processors: int | None = None
    launcher: Launcher | None = None

    @property
    def to_enter(self) -> tuple[str, ...]:
        """Where the first process has to put itself: nowhere if it is born in the group."""
        return () if self.launcher else tuple(dict.fromkeys(self.directories.values()))

    def launch(self, start: Callable[[], T]) -> T:
        """Call `start`, which forks the group's first process."""
        return start() if self.launcher is None else self.launcher.call(start)

    def peak_memory_bytes(self) -> int:
        """Peak of all processes together, page cache included; 0 where nobody counts it."""
        text = self._read("memory", "memory.max_usage_in_bytes", "memory.peak")
        return int(text or 0)

    def memory_kills(self) -> int:
        """How many processes the kernel killed for the memory limit."""
        return _count(self._read("memory", "memory.oom_control", "memory.events"), "oom_kill")

    def forks_refused(self) -> int:
        """How many processes and threads could not be made for the limit of them."""
        return _count(self._read("pids", "pids.events"), "max")

    def _read(self, controller: Controller, *names: str) -> str:
        """Return the first of these files that there is."""
        for name in names if controller in self.directories else ():
            path = f"{self.directories[controller]}/{name}"
            with suppress(OSError), open(path, encoding="ascii") as stream:
                return stream.read()
        return ""


class Groups:
    """Makes the groups, with the controllers that this place offers."""

    def __init__(self, found: Found) -> None:
        self.flavour = found.flavour
        self.weaker = found.weaker
        self._roots = found.roots
        self.roots = tuple(dict.fromkeys(found.roots.values()))
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
    def group(self, limits: wire.Limits) -> Iterator[Group]:
        """Make a group for one step and remove it afterwards, when its processes are dead."""
        memory_bytes = limits.memory_bytes or UNLIMITED_BYTES
        launcher = self._launcher
        directories = self._new_group()
        pids = limits.pids + (launcher is not None)
        try:
            held = controllers.limits(memory_bytes, pids, limits.cpus)
            for name, directory in directories.items():
                with suppress(*_REFUSALS.get(name, ())):
                    controllers.apply(directory, held.get(name, {}))
            yield Group(
                directories=directories,
                rlimits=tuple(_rlimits(directories, memory_bytes, limits.pids)),
                processors=None if "cpu" in directories else _whole(limits.cpus),
                launcher=launcher,
            )
        finally:
            if launcher is not None:
                launcher.leave()
            for directory in set(directories.values()):
                remove(directory)

    def _new_group(self) -> dict[Controller, str]:
        if self._launcher is not None:
            return dict(zip(self._roots, self._launcher.claim(), strict=True))
        directories = {name: f"{root}/step" for name, root in self._roots.items()}
        for directory in directories.values():
            os.makedirs(directory, exist_ok=True)
        return directories


# Version 1 refuses a group more than its parent has: then the parent's, which is stricter, holds.
_REFUSALS: Mapping[Controller, tuple[type[OSError], ...]] = {"cpu": (OSError,)}


def find() -> Groups:
    """Mount what controllers there are; never fails."""
    return Groups(controllers.find())


def _count(text: str, key: str) -> int:
    rows = [line.split() for line in text.splitlines()]
    return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] == key)


def _whole(cpus: float | None) -> int | None:
    return None if cpus is None else math.ceil(cpus)


def _rlimits(
    held: Mapping[Controller, str], memory_bytes: int, pids: int
) -> Iterator[tuple[int, int]]:
    """Bound each process's memory; the processes are counted by user, in the step's namespace."""
    if "memory" not in held:
        yield resource.RLIMIT_AS, memory_bytes
    if "pids" not in held:
        yield resource.RLIMIT_NPROC, pids
