"""Ends what a test run started: processes (daemons' orphans too), mounts, cgroups, files."""

import ctypes
import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CGROUPS = Path("/sys/fs/cgroup")
KILL_TIMEOUT_S = 10.0
POLL_S = 0.05


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, as init would be.

    Shims and monitors of containers leave their daemon's side on purpose; this way none is lost.
    """
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(sign: signal.Signals) -> Callable[[], None]:
    """Make a `preexec_fn` that has a child get `sign` when this process dies in any way."""
    return lambda: _prctl(PR_SET_PDEATHSIG, sign)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def wait_reaping(pid: int, *, timeout_s: float = math.inf) -> int | None:
    """Wait for a child's end, reaping adopted orphans meanwhile; its exit code, None when late."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)
        if not ended:
            time.sleep(POLL_S)
    return None


def kill_descendants() -> None:
    """Kill and reap every process below this one."""
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while pids := _children(os.getpid()):
        for pid in _descendants(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes that can't be killed: {pids}")
        time.sleep(POLL_S)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _descendants(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        below = _children(pid)
        yield pid
        yield from _descendants(below)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@contextmanager
def own_directory() -> Iterator[Path]:
    """Make a directory that goes at the end, with every process below this one and all mounts."""
    path = Path(tempfile.mkdtemp(prefix="containerdeploy-", dir="/var/tmp"))
    try:
        yield path
    finally:
        kill_descendants()
        take_away(path)


def take_away(path: Path) -> None:
    """Remove a directory that daemons have worked in, with all that is still mounted there."""
    libc = ctypes.CDLL(None, use_errno=True)
    for mounted in reversed(mounts_below(path)):
        if libc.umount2(os.fsencode(mounted), 2):  # MNT_DETACH
            raise OSError(ctypes.get_errno(), f"can't unmount {mounted}")
    if left := mounts_below(path):
        raise OSError(f"not removing {path}: still mounted are {left}")
    shutil.rmtree(path)


def mounts_below(path: Path) -> list[str]:
    rows = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    points = [row.split()[4].replace("\\040", " ") for row in rows]
    return [point for point in points if point.startswith(f"{path}/")]


def remove_cgroups(name: str) -> None:
    """Remove the empty cgroups called `name` at the top of every hierarchy."""
    for top in (*CGROUPS.glob(f"{name}"), *CGROUPS.glob(f"*/{name}")):
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)
