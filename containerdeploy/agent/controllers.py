"""Finds the kernel's controllers that hold here, and mounts them: tried, not assumed.

In a private cgroup namespace the agent can mount the controllers and see its own container's group
as their root, version 1 or 2. One holds if a group can be made and its limit reads as it was
written: engines accept limits that they don't apply.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Literal

from containerdeploy import syscalls
from containerdeploy.frozen import frozen

PLACE = "/run/containerdeploy/cgroup"
FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
PERIOD_US = 100_000
Controller = Literal["memory", "pids", "cpu"]
CONTROLLERS: tuple[Controller, ...] = ("memory", "pids", "cpu")
Flavour = Literal["cgroup-v1", "cgroup-v2", "rlimits"]
ONLY_AT_THE_TOP = "release_agent"  # of version 1; the top of version 2 can't be limited
PROBE_BYTES, PROBE_PIDS, PROBE_CPUS = 64 << 20, 64, 0.01
WEAKER: Mapping[Controller, str] = {
    "memory": "no control group for memory: its limit holds for each process of a step",
    "pids": "no control group for processes: their limit holds for each user of a step",
    "cpu": "no control group for processors: a step gets whole ones, and could take more",
}


@frozen
class Found:
    """Where groups can be made, by controller: the same place for all in version 2."""

    flavour: Flavour
    roots: Mapping[Controller, str]

    @property
    def weaker(self) -> tuple[str, ...]:
        """A line for every limit that no group holds to."""
        return tuple(WEAKER[name] for name in CONTROLLERS if name not in self.roots)


def find() -> Found:
    """Mount what controllers there are; never fails, the worst case is `rlimits`.

    First a cgroup namespace of our own: Podman on version 1 gives its containers the host's, and
    the groups of two helpers would meet at the host's root.
    """
    with suppress(OSError):
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    roots: Mapping[Controller, str] = dict(_version_1())
    if roots:
        return Found(flavour="cgroup-v1", roots=roots)
    with suppress(OSError):
        if roots := _version_2():
            return Found(flavour="cgroup-v2", roots=roots)
    return Found(flavour="rlimits", roots={})


def limits(memory_bytes: int, pids: int, cpus: float | None) -> Mapping[Controller, dict[str, str]]:
    """Return the files to write by controller; a version knows its own only.

    Memory and swap together are bounded by `memory_bytes`.
    """
    memory = str(memory_bytes)
    held: dict[Controller, dict[str, str]] = {
        "memory": {
            "memory.limit_in_bytes": memory,
            "memory.memsw.limit_in_bytes": memory,
            "memory.max": memory,
            "memory.swap.max": "0",
        },
        "pids": {"pids.max": str(pids)},
    }
    if cpus is not None:
        quota = max(1000, round(cpus * PERIOD_US))
        held["cpu"] = {"cpu.cfs_quota_us": str(quota), "cpu.max": f"{quota} {PERIOD_US}"}
    return held


def apply(directory: str, files: Mapping[str, str]) -> None:
    """Write a group's limits, those that it has files for."""
    for name, text in files.items():
        if os.path.exists(f"{directory}/{name}"):
            with open(f"{directory}/{name}", "w", encoding="ascii") as stream:
                stream.write(text)


def _version_1() -> Iterator[tuple[Controller, str]]:
    for name in CONTROLLERS:
        root = f"{PLACE}/{name}"
        with suppress(OSError):
            os.makedirs(root, exist_ok=True)
            syscalls.mount("cgroup", root, "cgroup", FLAGS, _hierarchy(name))
            if _holds(root, name):
                yield name, root


def _hierarchy(name: Controller) -> str:
    """Return all controllers that share a hierarchy with one: they are only mounted together."""
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        for line in stream:
            together = line.split(":")[1]
            if name in together.split(","):
                return together
    return name


def _version_2() -> Mapping[Controller, str]:
    """Mount the unified tree; the agent moves to a leaf, for only leaves may hold processes."""
    root = f"{PLACE}/unified"
    os.makedirs(root, exist_ok=True)
    syscalls.mount("cgroup2", root, "cgroup2", FLAGS)
    os.makedirs(f"{root}/agent", exist_ok=True)
    _write(f"{root}/agent/cgroup.procs", "0")
    for name in CONTROLLERS:
        with suppress(OSError):
            _write(f"{root}/cgroup.subtree_control", f"+{name}")
    return {name: root for name in CONTROLLERS if _holds(root, name)}


def _holds(root: str, name: Controller) -> bool:
    """Make a group, limit it, and read that back."""
    probe = f"{root}/probe"
    if os.path.exists(f"{root}/{ONLY_AT_THE_TOP}"):  # others' groups would meet ours there
        return False
    try:
        os.mkdir(probe)
        try:
            files = limits(PROBE_BYTES, PROBE_PIDS, PROBE_CPUS)[name]
            apply(probe, files)
            first = next(file for file in files if os.path.exists(f"{probe}/{file}"))
            with open(f"{probe}/{first}", encoding="ascii") as stream:
                return stream.read().strip() == files[first]
        finally:
            os.rmdir(probe)
    except (OSError, StopIteration):
        return False


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)
