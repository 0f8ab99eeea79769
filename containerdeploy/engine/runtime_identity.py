"""The user namespace of the local engine's containers where an ordinary user starts them.

The user is its root. With subordinate ids (/etc/subuid, newuidmap) 65,536 ids are mapped, else one.
"""

import os
import pwd
import time

from containerdeploy import syscalls

COUNT = 65536
_ATTEMPTS, _PAUSE_S = 3, 0.1
_TOOLS = ("/usr/bin/newuidmap", "/usr/bin/newgidmap")
# Switches of the host, the value that refuses, and the setting that allows.
_SWITCHES = (
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("user/max_user_namespaces", "0", "10000"),
)


def is_rootless() -> bool:
    return os.geteuid() != 0


def enter() -> None:
    """Move into a new user namespace whose root this user is; the ids are mapped on return."""
    uid, gid = os.geteuid(), os.getegid()
    maps = (_extents("/etc/subuid", uid), _extents("/etc/subgid", uid))
    start, started = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(started)
        _map_for_parent(start, (uid, gid), maps)
    os.close(start)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(started, b"unshared")
    finally:
        os.close(started)
        os.waitpid(mapper, 0)
    if not _read("/proc/self/uid_map"):
        _write("/proc/self/uid_map", f"0 {uid} 1")
    if not _read("/proc/self/gid_map"):
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"0 {gid} 1")


def hint() -> str:
    """Say why an ordinary user may be refused namespaces here, as far as the host tells."""
    for path, refusing, allowing in _SWITCHES:
        if _read(f"/proc/sys/{path}").strip() == refusing:
            setting = path.replace("/", ".")
            return (
                f"this host keeps ordinary users from user namespaces ({setting}={refusing}): "
                f"run as root, use docker, or allow them with sysctl {setting}={allowing}"
            )
    return "run as root, or use docker; `containerdeploy doctor` shows what this host offers"


def _map_for_parent(
    start: int, ids: tuple[int, int], maps: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """Be the child that stays outside and has the set-id tools map the parent's ids."""
    parent = str(os.getppid())
    try:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        if os.read(start, 10) and all(count for _, count in maps):
            for tool, own, (first, count) in zip(_TOOLS, ids, maps, strict=True):
                argv = [tool, parent, "0", str(own), "1", "1", str(first), str(count)]
                _run(tool, argv)
    finally:
        os._exit(0)


def _run(tool: str, argv: list[str]) -> None:
    """Run it until it succeeds, a few times: it reads files that others may just be replacing."""
    for _ in range(_ATTEMPTS):
        if os.spawnv(os.P_WAIT, tool, argv) == 0:
            return
        time.sleep(_PAUSE_S)


def _extents(path: str, uid: int) -> tuple[int, int]:
    """Return first id and count of the user's largest range, at most what a full map needs."""
    names = {str(uid), _name(uid)}
    best = (0, 0)
    for line in _read(path).splitlines():
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in names and int(fields[2]) > best[1]:
            best = (int(fields[1]), min(int(fields[2]), COUNT - 1))
    return best if all(map(os.path.exists, _TOOLS)) else (0, 0)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)
