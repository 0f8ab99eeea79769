"""Mounts and namespaces: to see more, to write more, or to have power of one's own."""

import os
import socket
import struct

from tools import (
    MS_BIND,
    MS_REMOUNT,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
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
def remount_the_definitions() -> object:
    private()
    mount(None, "/definitions", None, MS_REMOUNT | MS_BIND)
    with open("/definitions/planted", "w") as stream:
        stream.write("x")
    os.unlink("/definitions/planted")
    return "wrote to the definitions"


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
def join_the_agents_namespaces() -> object:
    for name in ("mnt", "net", "ipc", "uts"):
        with open(f"/proc/1/ns/{name}") as namespace:
            checked(libc.setns(namespace.fileno(), 0), "setns")
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
