"""Ends and removes containers of the local engine, from whatever process, whatever is left of them.

A launcher cleans up after itself; this is for when it was killed, or must be.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from containerdeploy.engine import runtime, runtime_cgroups, runtime_directory, runtime_files
from containerdeploy.engine.runtime_directory import ASIDE
from containerdeploy.errors import EngineError

NEW = ".new-"
LAUNCHER_S = 10.0
DEATH_S = 20.0
REMOVAL_S = 600.0
_POLL_S = 0.005


def launcher_argv(verb: str, *arguments: str) -> list[str]:
    """Return the command line that starts the launcher, or a helper that sees its files."""
    return [sys.executable, "-I", "-S", runtime.__file__, verb, *arguments]


def kill(directory: Path) -> None:
    """Kill the container; before it has a first process, its launcher."""
    if runtime_directory.is_locked(str(directory)) and not _signal_noted(directory, "init"):
        _signal_noted(directory, "launcher")


def remove(directory: Path) -> None:
    """Kill what runs and remove all that is left; nothing happens when it is gone already."""
    with suppress(FileNotFoundError), _lock_file(directory) as lock:
        kill(directory)
        if not _is_free_within(lock, LAUNCHER_S):
            _signal_noted(directory, "launcher")
            if not _is_free_within(lock, DEATH_S):
                raise EngineError(f"the launcher of {directory.name} does not die", transient=True)
        _signal_noted(directory, "init")  # dying already where the launcher was killed
        groups = runtime_directory.read(str(directory), "cgroups").splitlines()
        if left := runtime_cgroups.remove(groups):
            brief = f"the control group {left[0]} can't be removed"
            raise EngineError(brief, hint="something in it can't be killed; see its cgroup.procs")
        remove_tree(Path(runtime_directory.put_aside(str(directory))))


def wait_unlocked(directory: Path, timeout_s: float) -> bool:
    """Wait for the launcher's end; say whether it came."""
    try:
        with _lock_file(directory) as lock:
            return _is_free_within(lock, timeout_s)
    except FileNotFoundError:
        return True


@contextmanager
def _lock_file(directory: Path) -> Iterator[int]:
    """Open the lock for as long as it is looked at: a launcher removes the file before it ends."""
    descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_free_within(lock: int, timeout_s: float) -> bool:
    """Wait until the lock is free, which is when its launcher is dead."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def sweep(containers: Path) -> None:
    """Remove what was being made or removed by a process that is dead."""
    for prefix in (NEW, ASIDE):
        for directory in containers.glob(f"{prefix}*"):
            if not runtime_directory.is_locked(str(directory)) and _is_old(directory):
                remove_tree(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory tree, also where it holds files of a container's other users."""
    if os.geteuid() == 0:
        runtime_files.remove_tree(str(directory))
        return
    argv = launcher_argv("remove", str(directory))
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=REMOVAL_S, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise EngineError(f"removing {directory} takes longer than {REMOVAL_S:.0f} s") from err
    if done.returncode:
        details = done.stderr.decode(errors="replace")[-2000:]
        raise EngineError(f"cannot remove {directory}", details=details)


def _is_old(directory: Path) -> bool:
    """Whether it has been lying there for a minute: whoever is at it would be done."""
    try:
        return time.time() - directory.stat().st_mtime > 60
    except FileNotFoundError:
        return False


def _signal_noted(directory: Path, name: str) -> bool:
    """Kill a noted process and wait until it is dead; say whether one was noted."""
    process = runtime_directory.read_process(str(directory), name)
    if process is None:
        return False
    with suppress(ProcessLookupError):
        descriptor = process.open()
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(int(DEATH_S * 1000))
        finally:
            os.close(descriptor)
    return True
