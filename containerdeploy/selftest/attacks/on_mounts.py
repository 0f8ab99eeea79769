"""Mounts and namespaces: to see more, to write more, or to have power of one's own."""

import os
import signal
import socket
import struct
import time

from on_the_agent import stranger
from tools import (
    MS_BIND,
    MS_MOVE,
    NEWCGROUP,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWTIME,
    NEWUSER,
    NEWUTS,
    attack,
    call,
    checked,
    libc,
    mount,
    mounted,
    private,
    scratch,
    unshare,
)

GROUP = "mounts and namespaces"


@attack
def mount_over_the_tools() -> object:
    private()
    return mount("none", "/usr", "tmpfs")


@attack
def bind_mount() -> object:
    private()
    return mount("/", scratch(), None, MS_BIND)


@attack
def move_a_mount() -> object:
    private()
    return mount("/run", scratch(), None, MS_MOVE)


@attack
def overlay_of_its_own() -> object:
    return mounted("overlay", data="lowerdir=/definitions:/usr")


@attack
def unmount() -> object:
    private()
    checked(libc.umount2(b"/proc", 2), "umount")
    return "unmounted /proc"


@attack
def pivot() -> object:
    place = mounted("tmpfs")
    os.mkdir(f"{place}/old")
    call("pivot_root", place.encode(), f"{place}/old".encode())
    return "pivoted"


@attack
def chroot_escape() -> object:
    inner, root = scratch(), os.open("/", os.O_RDONLY)
    os.chroot(inner)
    os.fchdir(root)
    for _ in range(100):
        os.chdir("..")
    os.chroot(".")
    return [path for path in ("/store", "/sources") if os.path.exists(path)] or None


@attack
def detached_mount() -> object:
    return call("open_tree", -100, b"/", 1 | 0x8000)


@attack
def attach_a_detached_mount() -> object:
    private()
    tree = call("open_tree", -100, b"/usr", 1)
    return call("move_mount", tree, b"", -100, scratch().encode(), 4) == 0


@attack
def idmapped_mount() -> object:
    """Show files with other owners than they have."""
    tree = call("open_tree", -100, b"/definitions", 1)
    child = os.fork()
    if child == 0:
        unshare(NEWUSER)
        signal.pause()
    try:
        own = os.stat("/proc/self/ns/user").st_ino
        while os.stat(f"/proc/{child}/ns/user").st_ino == own:
            time.sleep(0.01)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w") as stream:
                stream.write("0 1000 1")
        with open(f"/proc/{child}/ns/user") as namespace:
            attributes = struct.pack("QQQQ", 0x100000, 0, 0, namespace.fileno())
            return call("mount_setattr", tree, b"", 0x1000, attributes, len(attributes)) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@attack
def new_file_system() -> object:
    context = call("fsopen", b"tmpfs", 0)
    call("fsconfig", context, 6, None, None, 0)
    return call("fsmount", context, 0, 0)


@attack
def change_a_mount() -> object:
    private()
    attributes = struct.pack("QQQQ", 0, 1, 0, 0)
    return call("mount_setattr", -100, b"/definitions", 0, attributes, len(attributes)) == 0


@attack
def own_user_namespace() -> object:
    return unshare(NEWUSER)


@attack
def own_user_namespace_by_clone3() -> object:
    child = call("clone3", struct.pack("QQQQQQQQ", NEWUSER, 0, 0, 0, 17, 0, 0, 0), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "cloned"


@attack
def own_mount_namespace() -> object:
    return unshare(NEWNS)


@attack
def own_network_namespace() -> object:
    return unshare(NEWNET)


@attack
def own_pid_namespace() -> object:
    return unshare(NEWPID)


@attack
def own_cgroup_namespace() -> object:
    return unshare(NEWCGROUP)


@attack
def own_clock() -> object:
    return unshare(NEWTIME)


@attack
def join_the_namespaces_of_another() -> object:
    for name in ("mnt", "ipc", "uts"):
        with open(f"/proc/{stranger()}/ns/{name}") as namespace:
            checked(libc.setns(namespace.fileno(), 0), "setns")
    return "joined"


@attack
def join_by_a_pidfd() -> object:
    checked(libc.setns(os.pidfd_open(stranger()), NEWUTS), "setns")
    return "joined"


@attack
def join_its_own_namespace() -> object:
    with open("/proc/self/ns/uts") as namespace:
        checked(libc.setns(namespace.fileno(), 0), "setns")
    return "joined"


@attack
def call_the_host_another_name() -> object:
    socket.sethostname("owned")
    return socket.gethostname()
