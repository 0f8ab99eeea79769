"""What a container of the local engine leaves on disk while it exists: one directory.

record.json   its name and labels; written once by the controller
lock          held (flock) by the launcher as long as that lives
processes     pid and start time of the launcher and of the container's first process
cgroups       the control groups made for it, a path a line
started       there once it was told to run its program
exit          its exit code, where it is kept after its end
root/         where its root is mounted, in its own mount namespace only
volumes/N     its anonymous volumes; N is the mount's place in the order
"""

import fcntl
import os

ASIDE = ".gone-"
_START_TIME_FIELD = 19  # of /proc/PID/stat, after the command's name; proc(5) calls it 22


class Process:
    """A process by pid and start time: another one with the same pid is not it."""

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self.start = start

    def __str__(self) -> str:
        return f"{self.pid} {self.start}"

    def is_there(self) -> bool:
        return start_time(self.pid) == self.start

    def open(self) -> int:
        """Return a descriptor of the process, or raise ProcessLookupError when it is gone."""
        descriptor = os.pidfd_open(self.pid)
        if self.is_there():
            return descriptor
        os.close(descriptor)
        raise ProcessLookupError(f"no process {self}")


def start_time(pid: int) -> int | None:
    """Return when a process started, in ticks since the boot, or None when there is no such."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[_START_TIME_FIELD])
    except (FileNotFoundError, ProcessLookupError):
        return None


def write(directory: str, name: str, text: str) -> None:
    """Write a file of the directory; whoever reads it sees all of it or nothing."""
    unfinished = f"{directory}/.{name}"
    with open(unfinished, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.rename(unfinished, f"{directory}/{name}")


def read(directory: str, name: str) -> str:
    """Return a file's content, or nothing when there is none."""
    try:
        with open(f"{directory}/{name}", encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def put_aside(directory: str) -> str:
    """Free the name by one rename, so that nobody finds it half removed; return the new path."""
    parent, name = os.path.split(directory)
    aside = f"{parent}/{ASIDE}{name}-{os.getpid()}"
    os.rename(directory, aside)
    return aside


def write_process(directory: str, name: str, pid: int) -> None:
    """Note a process, with its start time."""
    write(directory, name, str(Process(pid, start_time(pid) or 0)))


def read_process(directory: str, name: str) -> Process | None:
    """Return a noted process, dead or alive, or None when none was noted."""
    text = read(directory, name)
    return Process(*map(int, text.split())) if text else None


def is_locked(directory: str) -> bool:
    """Say whether the launcher lives (or the container is just being made)."""
    try:
        descriptor = os.open(f"{directory}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock(directory: str) -> int:
    """Take the lock; whoever holds the returned descriptor (or a copy) holds it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(f"{directory}/lock", flags, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
