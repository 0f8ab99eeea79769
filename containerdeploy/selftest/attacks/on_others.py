"""The agent, other processes, the store, and files that are not the extension's."""

import ctypes
import os
import signal
import struct

from tools import attack, call

GROUP = "the agent, the store and others"


@attack
def trace_pid_1() -> object:
    return call("ptrace", 0x4206, 1, None, None) == 0


@attack
def trace_a_child() -> object:
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        return call("ptrace", 0x4206, child, None, None) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@attack
def memory_of_pid_1() -> object:
    with open("/proc/1/maps") as maps, open("/proc/1/mem", "rb", buffering=0) as memory:
        memory.seek(int(maps.readline().split("-")[0], 16))
        return memory.read(16)


@attack
def read_into_pid_1() -> object:
    buffer = ctypes.create_string_buffer(16)
    local = struct.pack("QQ", ctypes.addressof(buffer), 16)
    with open(f"/proc/{os.getppid()}/maps") as maps:
        remote = struct.pack("QQ", int(maps.readline().split("-")[0], 16), 16)
    return call("process_vm_readv", os.getppid(), local, 1, remote, 1, 0)


@attack
def environment_of_pid_1() -> object:
    with open("/proc/1/environ", "rb") as stream:
        return stream.read(20) or None


@attack
def descriptors_of_pid_1() -> object:
    return [os.readlink(f"/proc/1/fd/{name}") for name in os.listdir("/proc/1/fd")]


@attack
def root_of_pid_1() -> object:
    return os.listdir("/proc/1/root/")[:3]


@attack
def another_process_root() -> object:
    for name in filter(str.isdigit, os.listdir("/proc")):
        if os.path.isdir(f"/proc/{name}/root/store/bases"):
            return f"/proc/{name}/root/store"
    return None


@attack
def take_a_descriptor() -> object:
    return call("pidfd_getfd", call("pidfd_open", 1, 0), 0, 0)


@attack
def compare_with_pid_1() -> object:
    return call("kcmp", 1, os.getpid(), 0, 0, 0) >= 0


@attack
def stop_pid_1() -> object:
    os.kill(1, signal.SIGSTOP)
    with open("/proc/1/stat") as stream:
        state = stream.read().rpartition(")")[2].split()[0]
    os.kill(1, signal.SIGCONT)
    return "it stands still" if state == "T" else None


@attack
def forge_events_on_every_descriptor() -> object:
    """Evidence is for those outside to find; see FORGED."""
    line = b'\n{"event":"Finished","outcome":"ok","error":"","hint":"forged","swept":0}\n'
    for number in range(256):
        try:
            os.write(number, line)
        except OSError:
            continue
    for name in os.listdir("/proc/1/fd") if os.access("/proc/1/fd", os.R_OK) else ():
        with open(f"/proc/1/fd/{name}", "ab", buffering=0) as stream:
            stream.write(line)
    return None


@attack
def descriptors_that_were_left_open() -> object:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 3 and os.path.lexists(f"/proc/self/fd/{name}"):
            target = os.readlink(f"/proc/self/fd/{name}")
            if not target.startswith(("/proc/", "pipe:")):
                found[name] = target
    return found or None


@attack
def the_store() -> object:
    os.close(os.open("/store/planted", os.O_WRONLY | os.O_CREAT))
    os.unlink("/store/planted")
    return os.listdir("/store")


@attack
def the_store_by_its_device() -> object:
    """Look through every mount for one that shows the store from above."""
    with open("/proc/self/mountinfo") as stream:
        points = [row.split()[4] for row in stream]
    places = [f"{point}{up}/bases" for point in points for up in ("", "/..", "/../..", "/../../..")]
    return [place for place in places if os.path.isdir(place)] or None


@attack
def the_sources() -> object:
    return os.listdir("/sources") if os.path.exists("/sources") else None


@attack
def file_by_handle() -> object:
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128), 136)
    number = ctypes.c_int()
    call("name_to_handle_at", -100, b"/definitions", buffer, ctypes.byref(number), 0)
    place = os.open("/definitions", os.O_RDONLY)
    return call("open_by_handle_at", place, buffer, os.O_RDONLY)


@attack
def sockets_of_engines() -> object:
    names = ("docker.sock", "podman/podman.sock", "containerd/containerd.sock")
    found = [f"{run}/{name}" for run in ("/run", "/var/run") for name in names]
    return [path for path in found if os.path.exists(path)] or None


@attack
def mark_of_overlayfs() -> object:
    os.makedirs("/tree/marked", exist_ok=True)
    os.setxattr("/tree/marked", "trusted.overlay.opaque", b"y")
    return os.getxattr("/tree/marked", "trusted.overlay.opaque")


@attack
def write_to_the_tools() -> object:
    with open("/usr/bin/planted", "w"):
        return "wrote"


@attack
def write_to_the_definitions() -> object:
    with open("/definitions/planted", "w"):
        return "wrote"
