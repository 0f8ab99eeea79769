"""Ends and removes containers of the local engine, from whatever process, whatever is left of them.

A launcher cleans up after itself; this is for when it was killed, or must be.
"""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from containerdeploy.engine import runtime, runtime_cgroups, runtime_directory, runtime_files
from containerdeploy.engine.runtime_directory import ASIDE
from containerdeploy.errors import EngineError

NEW = ".new-"
LAUNCHER_S = 10.0
DEATH_S = 20.0
_POLL_S = 0.005


def launcher_argv(verb: str, *arguments: str) -> list[str]:
    """Return the command line that starts the launcher, or a helper that sees its files."""
    return [sys.executable, "-I", "-S", runtime.__file__, verb, *arguments]


def kill(directory: Path) -> None:
    """Kill the container; before it has a first process, its launcher."""
    if runtime_directory.is_locked(str(directory)):
        for name in ("init", "launcher"):
            process = runtime_directory.read_process(str(directory), name)
            if process is not None:
                _signal(process)
                return


def remove(directory: Path) -> None:
    """Kill what runs and remove all that is left; nothing happens when it is gone already."""
    kill(directory)
    processes = _processes(directory)
    if not wait_unlocked(directory, LAUNCHER_S):
        for process in processes:
            _signal(process)
        if not wait_unlocked(directory, DEATH_S):
            raise EngineError(f"the launcher of {directory.name} does not die", transient=True)
    for process in [*processes, *_processes(directory)]:
        _signal(process)
        _await_death(process)
    runtime_cgroups.remove(runtime_directory.read(str(directory), "cgroups").splitlines())
    with suppress(FileNotFoundError):
        remove_tree(Path(runtime_directory.put_aside(str(directory))))


def wait_unlocked(directory: Path, timeout_s: float) -> bool:
    """Wait for the launcher's end; say whether it came."""
    deadline = time.monotonic() + timeout_s
    while runtime_directory.is_locked(str(directory)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
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
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        details = done.stderr.decode(errors="replace")[-2000:]
        raise EngineError(f"cannot remove {directory}", details=details)


def _is_old(directory: Path) -> bool:
    """Whether it has been lying there for a minute: whoever is at it would be done."""
    try:
        return time.time() - directory.stat().st_mtime > 60
    except FileNotFoundError:
        return False


def _processes(directory: Path) -> list[runtime_directory.Process]:
    found = (runtime_directory.read_process(str(directory), name) for name in ("init", "launcher"))
    return [process for process in found if process is not None]


def _signal(process: runtime_directory.Process) -> None:
    with suppress(ProcessLookupError):
        descriptor = process.open()
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def _await_death(process: runtime_directory.Process) -> None:
    with suppress(ProcessLookupError):
        descriptor = process.open()
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(int(DEATH_S * 1000))
        finally:
            os.close(descriptor)
