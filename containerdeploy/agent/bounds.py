"""Holds an archive to its bounds while it is unpacked: what it takes up, how many members it has.

A look at the store's disk costs next to nothing, but shows what others write there too. So it gives
rise to suspicion only: then tar stands still while what it has written is counted.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from containerdeploy import wire
from containerdeploy.agent import survey as surveys
from containerdeploy.agent.confine import Running
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.manifest import Writer
from containerdeploy.agent.trees import TreeMoved
from containerdeploy.frozen import frozen, replace

# So that no small, honest archive is ever refused: a root file system of text compresses well.
ALWAYS_FINE_BYTES = 1 << 30
# What overlayfs takes for its own where an ordinary user mounts it (userxattr). Elsewhere these are
# data: there its marks are trusted.overlay.*, which nothing that unpacks can set.
USER_MARKS = "user.overlay."
# What stays free on the disk, unless there was less than ten times that to begin with.
RESERVE_BYTES = 256 << 20


@frozen
class _Space:
    """What a file system has left, and what is used of it."""

    free_bytes: int
    used_bytes: int
    used_files: int


class Bounds:
    """What one archive may become below `target`; `failure` says how it went too far, if it did."""

    def __init__(self, target: str, source: wire.Source, *, rootless: bool) -> None:
        self._target = target
        self._allowed = replace(allowed(source), marks=USER_MARKS if rootless else "")
        self._last = _space(target)
        self._reserve_bytes = min(RESERVE_BYTES, self._last.free_bytes // 10)
        self._bytes = self._files = 0  # at most this much is ours
        self.failure: StepFailed | None = None

    def overrun(self, running: Running) -> tuple[wire.Outcome, str] | None:
        """Look at the disk; return how a bound is broken, if one is."""
        now = _space(self._target)
        self._bytes += max(0, now.used_bytes - self._last.used_bytes)
        self._files += max(0, now.used_files - self._last.used_files)
        self._last = now
        if now.free_bytes < self._reserve_bytes:
            self.failure = StepFailed(
                "failed",
                "the source can't be unpacked: No space left on device but a reserve of "
                f"{self._reserve_bytes >> 20} MiB",
                hint="make room on the disk that holds the store",
            )
        elif self._bytes > self._allowed.bytes or self._files > self._allowed.members:
            self._count(running)
        return (self.failure.outcome, self.failure.detail) if self.failure else None

    def survey(self, while_unpacking: range, manifest: Writer | None = None) -> surveys.Survey:
        """Look at all that was unpacked; raise StepFailed for what may not be there."""
        return surveys.survey(self._target, while_unpacking, self._allowed, manifest)

    def _count(self, running: Running) -> None:
        """Find out how much of what came onto the disk is ours."""
        try:
            with _standing_still(running):
                found = self.survey(range(0))
        except StepFailed as err:
            self.failure = err
        except (OSError, TreeMoved) as err:
            self.failure = StepFailed("failed", f"what was unpacked can't be counted: {err}")
        else:
            self._bytes, self._files = found.bytes, found.members


def allowed(source: wire.Source) -> surveys.Allowed:
    """Return what an archive may become: so many times its size, but a little is always fine."""
    size_bytes = max(source.size_bytes * source.max_expansion, ALWAYS_FINE_BYTES)
    reason = f"{source.max_expansion} times the archive's size{_by(source, 'max_expansion')}"
    if size_bytes == ALWAYS_FINE_BYTES:
        reason = "which is fine for any archive"
    if source.max_bytes is not None and source.max_bytes < size_bytes:
        by = _by(source, "max_bytes")
        size_bytes, reason = source.max_bytes, f"which the operator's policy allows{by}"
    return surveys.Allowed(
        bytes=size_bytes,
        reason=reason,
        members=source.max_members,
        members_reason=_by(source, "max_members"),
    )


def _by(source: wire.Source, bound: str) -> str:
    """Name the policy's rule that set a bound, if one did."""
    return f" ({source.rules[bound]})" if bound in source.rules else ""


def _space(path: str) -> _Space:
    found = os.statvfs(path)
    return _Space(
        free_bytes=found.f_bavail * found.f_frsize,
        used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
        used_files=found.f_files - found.f_ffree,
    )


@contextmanager
def _standing_still(running: Running) -> Iterator[None]:
    """Stop the confined program for the length of the block; what feeds it then waits for it.

    One that has just ended stands still by itself.
    """
    children: list[int] = []
    path = f"/proc/{running.init}/task/{running.init}/children"
    with suppress(FileNotFoundError, ProcessLookupError), open(path, encoding="ascii") as stream:
        children = [int(word) for word in stream.read().split()]
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
