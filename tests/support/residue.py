"""What a run may leave on a machine, as a value that can be compared before and after.

Everything that one site's runs make carries the site's mark (a random word) somewhere: in a path, a
volume's name, an environment. What does not is of somebody else, who may be at work meanwhile.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

POLL_S = 0.2
SETTLED_WITHIN_S = 10.0
_MARK = re.compile(rb"it[0-9a-f]{10}")
_GROUP = re.compile("containerdeploy-[0-9a-f]{8,}(-[0-9a-f]{8,})?")


@dataclass(frozen=True, kw_only=True)
class Residue:
    """Everything that should be as it was; containers and volumes are the engine's."""

    mounts: frozenset[str]
    processes: frozenset[str]
    containers: frozenset[str]
    volumes: frozenset[str]
    workspaces: frozenset[str]
    staging: frozenset[str]
    locks: frozenset[str]
    temporary: frozenset[str]
    cgroups: frozenset[str]
    loops: frozenset[str]

    def beyond(self, before: "Residue") -> dict[str, list[str]]:
        """Return what is here and was not there before, by kind."""
        found = {
            item.name: sorted(getattr(self, item.name) - getattr(before, item.name))
            for item in fields(self)
        }
        return {kind: things for kind, things in found.items() if things}


def mounts(mark: str) -> frozenset[str]:
    """Mounts in this mount namespace that bear the mark or lie where the agent mounts."""
    rows = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return frozenset(row for row in rows if mark in row or "/run/containerdeploy" in row)


def processes(mark: str) -> frozenset[str]:
    """Processes whose command, environment or mounts bear the mark, this one's ancestry aside."""
    own = set(_ancestry(os.getpid()))
    return frozenset(
        f"{pid} {command(pid)[:160]}"
        for pid in marked_pids(mark)
        if pid not in own and command(pid)
    )


def marked_pids(mark: str) -> Iterator[int]:
    """Yield every process that has to do with the mark; pids are the host's."""
    return (pid for pid in every_pid() if has_mark(pid, mark))


def every_pid() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def has_mark(pid: int, mark: str) -> bool:
    """Say whether the mark is in a process's command, its environment or its own mounts."""
    word = mark.encode()
    if any(word in _read(Path(f"/proc/{pid}/{name}")) for name in ("cmdline", "environ")):
        return True
    # Mounts that all see say nothing of one.
    if _namespace(pid) == _namespace(os.getpid()):
        return False
    return word in _read(Path(f"/proc/{pid}/mountinfo"))


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""


def pids(mark: str, words: str) -> list[int]:
    """Marked processes whose command line (words, one space between) holds `words`."""
    found = [pid for pid in every_pid() if words in command(pid)]
    return [pid for pid in found if has_mark(pid, mark)]


def command(pid: int) -> str:
    """A process's command line as one line, empty when it is gone or a zombie."""
    text = _read(Path(f"/proc/{pid}/cmdline")).replace(b"\0", b" ").decode(errors="replace")
    return " ".join(text.split())


def staging(directory: Path) -> frozenset[str]:
    """Staging directories below; os.walk puts up with what goes while it looks."""
    found = (Path(path, name) for path, names, _ in os.walk(directory) for name in names)
    return frozenset(str(path) for path in found if path.name.startswith(".containerdeploy-"))


def workspaces(store: Path | None) -> frozenset[str]:
    """What lies in a store's tmp; `store` is its directory on this host, if it has one yet."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if store is not None:
            return frozenset(os.listdir(store / "tmp"))
    return frozenset()


def locks(store: Path | None) -> frozenset[str]:
    """What lies in a store's locks: files for the time of somebody's work."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if store is not None:
            return frozenset(os.listdir(store / "locks"))
    return frozenset()


def temporary(home: Path) -> frozenset[str]:
    """Files of the records that are there while their runs go on."""
    patterns = ("runs/*/nonce-*", "runs/*/.*.new", ".*.new", "programs/.*.new")
    return frozenset(str(path) for pattern in patterns for path in home.glob(pattern))


def cgroups(mark: str) -> frozenset[str]:
    """Groups that the local engine made, unless only somebody else's processes are in them."""
    marked = set(marked_pids(mark))
    found = set()
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        for path in (Path(directory, name) for name in names if _GROUP.fullmatch(name)):
            members = _members(path)
            if not members or members & marked:
                found.add(str(path))
    return frozenset(found)


def _members(group: Path) -> set[int]:
    """Processes in a group and in those below; os.walk puts up with groups that go meanwhile."""
    lists = (_read(Path(directory, "cgroup.procs")) for directory, _, _ in os.walk(group))
    return {int(pid) for pids in lists for pid in pids.split()}


def loops(mark: str) -> frozenset[str]:
    """Loop devices, but for those whose file bears another site's mark, and device mapper's."""
    found = {path: _read(path) for path in Path("/sys/block").glob("loop*/loop/backing_file")}
    found |= {path: _read(path) for path in Path("/sys/block").glob("dm-*/dm/name")}
    own = mark.encode()
    return frozenset(
        f"{path} {os.fsdecode(name).strip()}"
        for path, name in found.items()
        if own in name or not _MARK.search(name)
    )


def settle(
    look: Callable[[], Residue], before: Residue, *, since: float | None = None
) -> dict[str, list[str]]:
    """Look until all is as it was, or return what is still beyond that when time is up.

    `since` is when the time began (time.monotonic()), now otherwise.
    """
    deadline = (time.monotonic() if since is None else since) + SETTLED_WITHIN_S
    while (more := look().beyond(before)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return more


def _ancestry(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        status = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
        pid = int(status[1]) if status else 0


def _read(path: Path) -> bytes:
    """A file of /proc, empty where the process is gone or not ours to look at."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
