"""Control groups of a container of the local engine, version 1 or 2, where the host allows any.

Version 2 wants a parent without processes of its own that hands controllers down: the nearest such
ancestor of our own group is taken.
"""

import os
import resource
import time
from contextlib import suppress

from containerdeploy.engine.runtime_order import Order

PREFIX = "containerdeploy-"
CPU_PERIOD_US = 100_000
REMOVE_S = 5.0
_WANTED_V2 = {"memory", "pids"}
_OFFERED = ("memory", "pids", "cpu")


class Parents:
    """Where groups can be made: `kind` is cgroup-v1, cgroup-v2 or rlimits (nowhere)."""

    def __init__(self, kind: str, directories: dict[str, str]) -> None:
        self.kind = kind
        self.directories = directories

    def planned(self, order: Order) -> list[str]:
        """Return the directories of a container's groups, not made yet.

        One for processors even if they are not limited: containers then get equal shares of them,
        however many threads one has, and can limit what is in them. A new group has no time for who
        runs in real time.
        """
        wanted = _OFFERED if order.cpus is not None or not _is_real_time() else ("memory", "pids")
        parents = [self.directories[name] for name in wanted if name in self.directories]
        return [f"{parent}/{PREFIX}{order.id}" for parent in dict.fromkeys(parents)]


def find(*, enable: bool) -> Parents:
    """Look for groups we may make; `enable` may hand version 2 controllers down for that."""
    mounts = list(_mounts())
    own = _own_groups()
    version_1 = _version_1(mounts, own)
    if "memory" in version_1 or "pids" in version_1:
        return Parents("cgroup-v1", version_1)
    for kind, root, mountpoint, _ in mounts:
        if kind == "cgroup2":
            parent = _version_2(mountpoint, _below(own.get("", "/"), root), enable=enable)
            if parent:
                return Parents("cgroup-v2", dict.fromkeys(_OFFERED, parent))
    return Parents("rlimits", {})


def make(directories: list[str], order: Order) -> None:
    """Make the groups and set their limits; raise OSError when a limit is refused."""
    for directory in directories:
        os.mkdir(directory)
        for name, value in _limits(order).items():
            if os.path.exists(f"{directory}/{name}"):
                _write(f"{directory}/{name}", value)


def join(directories: list[str], pid: int) -> None:
    """Move a process into all groups."""
    for directory in directories:
        _write(f"{directory}/cgroup.procs", str(pid))


def limit_by_resources(order: Order) -> None:
    """Limit this process and its children, the best that there is without groups.

    Memory holds for each process; for an ordinary user the count of processes holds for the
    container, whose user namespace counts on its own. Root's processes are not counted.
    """
    if order.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    if order.pids is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        count = order.pids if hard < 0 else min(order.pids, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))


def remove(directories: list[str]) -> list[str]:
    """Kill what is in the groups and remove them, nested ones first; return those still there."""
    left = []
    for directory in directories:
        deadline = time.monotonic() + REMOVE_S
        while not (is_gone := _remove_once(directory)) and time.monotonic() < deadline:
            time.sleep(0.002)
        left += [] if is_gone else [directory]
    return left


def _remove_once(directory: str) -> bool:
    """Try to remove the group; the kernel lets go of dead processes a moment later."""
    nested = [path for path, _, _ in os.walk(directory, topdown=False)]
    for path in nested:
        _kill_all(path)
        with suppress(OSError):
            os.rmdir(path)
    return not os.path.exists(directory)


def _kill_all(directory: str) -> None:
    with suppress(OSError), open(f"{directory}/cgroup.procs", encoding="ascii") as stream:
        for pid in stream.read().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)


def _limits(order: Order) -> dict[str, str]:
    """Return the files to write, in order; a version knows its own only."""
    limits: dict[str, str] = {}
    if order.memory_bytes is not None:
        memory = str(order.memory_bytes)
        limits |= {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
        limits |= {"memory.max": memory, "memory.swap.max": "0"}
    if order.pids is not None:
        limits["pids.max"] = str(order.pids)
    if order.cpus is not None:
        quota = max(1000, round(order.cpus * CPU_PERIOD_US))
        limits |= {"cpu.cfs_period_us": str(CPU_PERIOD_US), "cpu.cfs_quota_us": str(quota)}
        limits["cpu.max"] = f"{quota} {CPU_PERIOD_US}"
    return limits


def _version_1(mounts: list[tuple[str, str, str, str]], own: dict[str, str]) -> dict[str, str]:
    parents = {}
    for kind, root, mountpoint, options in mounts:
        if kind != "cgroup":
            continue
        for controller in _OFFERED:
            if controller in options.split(","):
                directory = mountpoint + _below(own.get(controller, "/"), root)
                if os.path.isdir(directory) and os.access(directory, os.W_OK):
                    parents[controller] = directory
    return parents


def _version_2(mountpoint: str, path: str, *, enable: bool) -> str:
    """Return the nearest ancestor that may have a child group with controllers, or nothing."""
    while True:
        directory = mountpoint + path
        if _may_be_parent(directory, enable=enable):
            return directory
        if not path:
            return ""
        path = path.rpartition("/")[0]


def _is_real_time() -> bool:
    return os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)


def _may_be_parent(directory: str, *, enable: bool) -> bool:
    if not all(os.access(f"{directory}{name}", os.W_OK) for name in ("", "/cgroup.procs")):
        return False
    offered = set(_read(f"{directory}/cgroup.controllers").split())
    handed = set(_read(f"{directory}/cgroup.subtree_control").split())
    if not enable:
        return offered >= _WANTED_V2
    for controller in _OFFERED:
        if controller in offered - handed:
            with suppress(OSError):
                _write(f"{directory}/cgroup.subtree_control", f"+{controller}")
    return set(_read(f"{directory}/cgroup.subtree_control").split()) >= _WANTED_V2


def _mounts() -> list[tuple[str, str, str, str]]:
    """Return type, root, mount point and options of all mounted hierarchies."""
    found = []
    for line in _read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, mountpoint = left.split()[3:5]
            found.append((kind, root, mountpoint.replace("\\040", " "), options))
    return found


def _own_groups() -> dict[str, str]:
    """Return our group's path by controller; version 2 has an empty name."""
    groups = {}
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _below(path: str, root: str) -> str:
    """Return a group's path as seen below a mount whose root is `root`; empty for the root."""
    if root != "/" and path.startswith(root):
        path = path[len(root) :]
    return path.rstrip("/")


def _read(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()
    return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)
