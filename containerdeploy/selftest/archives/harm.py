"""Lets each archive loose on an unpacker without protection, to see what harm it would do.

Runs in a helper of the self-test's own. The unpacker is root there, in a root that is thrown away:
what is beside the target in it stands for what is beside a target on a host.
"""

import json
import os
import resource
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from containerdeploy import syscalls
from containerdeploy.selftest.archives.compare import DECOMPRESSORS, SOURCES, STORE, TAR
from containerdeploy.selftest.archives.described import Entry, census, walk

PATIENCE_S, TICK_S = 2.0, 0.01
LONG_PATIENCE_S = 30.0
MEMORY_BYTES = 512 << 20
# What lies beside the target: what a host has, and the agent's places.
BESIDE = """
    outside store/bases store/tmp store/locks run/containerdeploy sources output definitions
    extensions tree etc usr/bin proc/self/root/outside proc/self/outside proc/self/fd dev
""".split()
FILES = ("outside/existing", "etc/passwd", "usr/bin/tar")
BELOW = ("etc/passwd", "d-opaque/below", "usr/tool")
REFUSED, STRANGE = 1, 3


class Naive(tarfile.TarFile):
    """Trusts every member, and makes room for links where a directory is in their way."""

    def makelink(self, tarinfo: tarfile.TarInfo, targetpath: Any) -> None:
        with suppress(OSError):
            os.rmdir(targetpath)
        super().makelink(tarinfo, targetpath)


def main() -> None:
    """Let everything loose that is listed, one after the other."""
    with open(f"{SOURCES}/list.json", encoding="ascii") as stream:
        listed = json.load(stream)
    for number, one in enumerate(listed):
        root = f"{STORE}/loose/{number}"
        try:
            told = {"harm": let_loose(one, root)}
        except OSError as err:
            told = {"untried": str(err)}
        print(json.dumps({"name": one["name"], **told}), flush=True)
    subprocess.run(["rm", "-rf", "--one-file-system", f"{STORE}/loose"], check=True)


def let_loose(one: Mapping[str, Any], root: str) -> str:
    """Unpack the archive; return what harm of its kind came of it, nothing if none."""
    _furnish(root)
    before = _beside(root)
    child = os.fork()
    if child == 0:
        _unpack(one, root)
    match one["harm"]:
        case "fills":
            return _await_growth(child, root, one)
        case "hangs":
            return "" if _await_end(child) is not None else f"it goes on after {PATIENCE_S} s"
    return _harm(one["harm"], root, before, _await_end(child, patience_s=LONG_PATIENCE_S))


def _harm(kind: str, root: str, before: Mapping[str, Entry], status: int | None) -> str:
    match kind:
        case "escapes":
            return _escaped(before, _beside(root))
        case "works":
            return _at_work(f"{root}/target")
        case "hides":
            return _hidden(root)
        case "swallowed":
            return "unpacked without a word" if status == 0 else ""
        case "breaks":
            return "an error that is none of its own" if status == STRANGE else ""
    return ""


def _furnish(root: str) -> None:
    for path in ("target", *BESIDE):
        os.makedirs(f"{root}/{path}", 0o755)
    for path in FILES:
        _write(f"{root}/{path}")
        os.chmod(f"{root}/{path}", 0o600)
    with suppress(PermissionError):  # an ordinary user can't
        os.mknod(f"{root}/outside/device", stat.S_IFCHR | 0o600, os.makedev(1, 7))


def _write(path: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write("as it was\n")


def _beside(root: str) -> dict[str, Entry]:
    """What lies in the throw-away root and not in the target; times don't count."""
    found: dict[str, Entry] = {"/": {"mode": os.lstat(root).st_mode}}
    for name in sorted({*os.listdir(root)} - {"target"}):
        for path, entry in census(f"{root}/{name}").items():
            found[f"{name}/{path}"] = {key: entry[key] for key in ("mode", "owner", "content")}
    return found


def _unpack(one: Mapping[str, Any], root: str) -> None:
    """Never return: unpack as root, with nothing in the way but the root's own walls."""
    code = STRANGE
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        stream = _opened(one)
        nothing = os.open("/dev/null", os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        if one["naive"] == "tar":
            os.dup2(stream, 0)
            argv = [*TAR.split(), "--xattrs-include=*", "-P", f"--directory={root}/target"]
            os.execvp(argv[0], argv)
        os.chroot(root)
        os.chdir("/target")
        with os.fdopen(stream, "rb") as data, Naive.open(fileobj=data, mode="r|") as archive:
            if trusting := getattr(tarfile, "fully_trusted_filter", None):
                archive.extraction_filter = trusting
            archive.extractall(numeric_owner=True)
        code = 0
    except (tarfile.TarError, OSError):
        code = REFUSED
    finally:
        os._exit(code)


def _opened(one: Mapping[str, Any]) -> int:
    """Open the archive, decompressed."""
    path = f"{SOURCES}/{one['file']}"
    if one["compression"] == "none":
        return os.open(path, os.O_RDONLY)
    argv = [DECOMPRESSORS[one["compression"]], "-dc", path]
    started = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert started.stdout is not None
    return os.dup(started.stdout.fileno())


def _await_end(child: int, patience_s: float = PATIENCE_S) -> int | None:
    """Return the exit code, None for one that had to be killed."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(TICK_S)
    _kill(child)
    return None


def _await_growth(child: int, root: str, one: Mapping[str, Any]) -> str:
    """Wait until more is there than is allowed, or nothing more comes."""
    first, deadline = os.statvfs(root), time.monotonic() + LONG_PATIENCE_S
    while time.monotonic() < deadline:
        pid, _ = os.waitpid(child, os.WNOHANG)
        now = os.statvfs(root)
        grown = (first.f_bfree - now.f_bfree) * now.f_frsize
        members = now.f_files - now.f_ffree - (first.f_files - first.f_ffree)
        if pid:
            members = sum(1 for _ in walk(f"{root}/target"))
        trouble = f"{grown} bytes and more" if grown > one["max_bytes"] else ""
        trouble = trouble or (f"{members} members" if members > one["max_members"] else "")
        if trouble or pid:
            break
        time.sleep(TICK_S)
    if not pid:
        _kill(child)
    return trouble


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _escaped(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> str:
    paths = sorted(before.keys() | after.keys())
    changed = [path for path in paths if before.get(path) != after.get(path)]
    return f"changed beside the target: {changed[:3]!a}" if changed else ""


def _at_work(target: str) -> str:
    for path, full in walk(target):
        found = os.lstat(full)
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            return f"a device at {path!a}"
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o6000:
            return f"mode {stat.S_IMODE(found.st_mode):o} at {path!a}"
        if "security.capability" in os.listxattr(full, follow_symlinks=False):
            return f"a capability at {path!a}"
    return ""


def _hidden(root: str) -> str:
    """Lay the target over a tree, as the agent does, and say what of the tree is gone."""
    for name in BELOW:
        os.makedirs(os.path.dirname(f"{root}/below/{name}"), exist_ok=True)
        _write(f"{root}/below/{name}")
    os.makedirs(f"{root}/merged")
    gone: set[str] = set()
    for options in ("", ",userxattr"):
        with suppress(OSError):  # an ordinary user's kernel takes one of the two
            layers = f"lowerdir={root}/target:{root}/below{options}"
            syscalls.mount("overlay", f"{root}/merged", "overlay", 0, layers)
            gone |= {name for name in BELOW if not os.path.exists(f"{root}/merged/{name}")}
            syscalls.umount(f"{root}/merged", syscalls.MNT_DETACH)
    return f"gone from what lies below: {', '.join(sorted(gone))}" if gone else ""
