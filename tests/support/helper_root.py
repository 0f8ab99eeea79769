"""Runs a command as an engine would in a helper: own root, namespaces, group and capabilities.

    python helper_root.py PLACES CAPABILITIES COMMAND…

PLACES is JSON: directories of the host by their path inside; CAPABILITIES are split by commas. What
it mounts and starts goes with it; killed, it takes the command along.
"""

import json
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from containerdeploy import syscalls
from containerdeploy.helper import spec

TOOLS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc", "opt")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
HIERARCHIES = (*(("cgroup", name) for name in ("memory", "pids", "cpu")), ("cgroup2", None))
REMOVE_S = 10.0
HERE = Path(__file__).resolve().parents[2]
NAMESPACES = (
    syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWCGROUP
)


def main(places: Mapping[str, str], keep: Sequence[str], command: Sequence[str]) -> int:
    """Run the command; SIGUSR1 kills it and all it started, any other end is its own."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    with _group() as directories:
        child = os.fork()
        if child == 0:
            try:
                _live(places, keep, command, directories)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(126)
        signal.signal(signal.SIGUSR1, lambda *_: os.kill(child, signal.SIGKILL))
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _live(
    places: Mapping[str, str],
    keep: Sequence[str],
    command: Sequence[str],
    directories: Sequence[Path],
) -> None:
    syscalls.set_pdeathsig(signal.SIGKILL)
    for directory in directories:
        (directory / "cgroup.procs").write_text("0")
    syscalls.unshare(NAMESPACES | syscalls.CLONE_NEWNS)
    init = os.fork()
    if init:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(init, signal.SIGTERM))
        _, status = os.waitpid(init, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    syscalls.set_pdeathsig(signal.SIGKILL)
    _move_in(places)
    _drop_capabilities(keep)
    environment = {"PATH": spec.PATH, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(HERE)}
    os.execvpe(command[0], command, environment)


def _move_in(places: Mapping[str, str]) -> None:
    root = Path("/tmp")
    shown = {f"/{name}": f"/{name}" for name in TOOLS if Path(f"/{name}").exists()}
    shown |= {f"/dev/{name}": f"/dev/{name}" for name in DEVICES}
    shown |= {str(HERE): str(HERE), sys.base_prefix: sys.base_prefix, sys.prefix: sys.prefix}
    clones = {inside: syscalls.open_tree(outside) for inside, outside in (shown | places).items()}
    kinds = {inside: Path(outside).is_dir() for inside, outside in (shown | places).items()}
    syscalls.mount("tmpfs", root, "tmpfs", 0, "mode=755")
    for name in ("proc", "dev", "run", "tmp"):
        (root / name).mkdir()
    for name in ("run", "tmp"):
        syscalls.mount("tmpfs", root / name, "tmpfs", syscalls.MS_NODEV, "mode=755")
    for inside, clone in sorted(clones.items()):
        target = root / inside.lstrip("/")
        if not target.exists():
            (target if kinds[inside] else target.parent).mkdir(parents=True, exist_ok=True)
            if not kinds[inside]:
                target.touch()
        syscalls.move_mount(clone, target)
        os.close(clone)
    syscalls.mount("proc", root / "proc", "proc")
    os.chdir(root)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")


def _drop_capabilities(keep: Sequence[str]) -> None:
    for name, number in syscalls.CAPABILITIES.items():
        if name not in keep:
            with suppress(OSError):
                syscalls.drop_bounding(number)
    syscalls.set_no_new_privs()


@contextmanager
def _group() -> Iterator[Sequence[Path]]:
    """Make a control group of our own in every hierarchy that the agent may want."""
    syscalls.mount("tmpfs", "/mnt", "tmpfs")
    name = f"containerdeploy-test-{uuid.uuid4().hex[:12]}"
    places = []
    for number, (kind, options) in enumerate(HIERARCHIES):
        root = Path(f"/mnt/{number}")
        root.mkdir()
        with suppress(OSError):
            syscalls.mount("cgroup", root, kind, 0, options)
            (root / name).mkdir()
            places.append(root / name)
    try:
        yield places
    finally:
        for place in places:
            _remove(place)


def _remove(group: Path) -> None:
    """Remove a group and those below it; the kernel needs a moment after the last process."""
    deadline = time.monotonic() + REMOVE_S
    for directory, _, _ in os.walk(group, topdown=False):
        while time.monotonic() < deadline:
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]))
