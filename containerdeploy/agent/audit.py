"""Looks whether the agent let go of everything: what is there at its end and was not before.

A namespace, a loop device or a deleted file lives by the processes, mounts and descriptors that
hold it, so these tell of all. Whatever is found goes with the helper, save a workspace in the
store: that is left to be swept.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from containerdeploy import wire

MOST = 20
LONGEST = 200
Found = set[tuple[wire.LeftKind, str]]


class Audit:
    """Remembers what was there before the work began; `workspace` is what the work makes."""

    def __init__(self, workspace: str, groups: Sequence[str]) -> None:
        """Look for the first time; `groups` are directories of the control groups' own."""
        self._workspace = workspace
        self._groups = groups
        self._before = set(self._look())

    def left(self) -> tuple[wire.Left, ...]:
        """Look again; return what is new, a part of it where it is much."""
        found: Found = set(self._look()) - self._before
        if os.path.lexists(self._workspace):
            found.add(("workspace", os.path.basename(self._workspace)))
        return tuple(
            wire.Left(kind=kind, name=_described(kind, name)[:LONGEST])
            for kind, name in sorted(found)[:MOST]
        )

    def _look(self) -> Iterator[tuple[wire.LeftKind, str]]:
        own = str(os.getpid())
        for name in os.listdir("/proc"):
            if name.isdigit() and name != own:
                yield "process", name
        for descriptor in _descriptors():
            yield "descriptor", descriptor
        with open("/proc/self/mountinfo", "rb") as stream:
            for line in stream:
                number, _, _, _, place = line.split(b" ", 5)[:5]
                yield "mount", f"{os.fsdecode(place)} ({number.decode()})"
        for group in self._groups:
            with os.scandir(group) as entries:
                yield from (("control group", e.path) for e in entries if e.is_dir())


def _descriptors() -> list[str]:
    """List the open descriptors, but for the one that lists them."""
    names = os.listdir("/proc/self/fd")
    return [name for name in names if os.path.lexists(f"/proc/self/fd/{name}")]


def _described(kind: wire.LeftKind, name: str) -> str:
    """Say what a process or a descriptor is of."""
    with suppress(OSError):
        if kind == "process":
            with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as stream:
                return f"{name} {stream.read().strip()}"
        if kind == "descriptor":
            return f"{name} {os.readlink(f'/proc/self/fd/{name}')}"
    return name
