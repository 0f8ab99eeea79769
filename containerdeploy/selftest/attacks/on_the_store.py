"""The store, other systems, sources, definitions, and files that are not the extension's."""

import ctypes
import errno
import os
import re
import socket
import stat
import struct

from tools import MS_BIND, MS_REMOUNT, attack, call, mount, private

GROUP = "the store and other systems"
# Where things lie for the agent.
PLACES = ("/store", "/sources", "/output", "/nonce", "/run/containerdeploy")


def can_fill(directory: str) -> str:
    """Write a file without a name, which leaves nothing."""
    descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o600)
    os.write(descriptor, b"planted")
    os.close(descriptor)
    return f"{directory} can be written"


@attack
def places_of_the_agent() -> object:
    return [place for place in PLACES if os.path.exists(place)] or None


@attack
def read_the_store() -> object:
    return os.listdir("/store")


@attack
def write_to_the_store() -> object:
    return can_fill("/store")


@attack
def the_store_by_its_mounts() -> object:
    """Look through every mount for one that shows the store from above."""
    with open("/proc/self/mountinfo") as stream:
        points = [row.split()[4] for row in stream]
    places = [f"{point}{up}/bases" for point in points for up in ("", "/..", "/../..", "/../../..")]
    return [place for place in places if os.path.isdir(place)] or None


@attack
def layers_of_a_tree() -> object:
    """Overlays tell where their layers lie."""
    with open("/proc/self/mountinfo") as stream:
        text = stream.read().replace("\\134", "\\")
    found = re.findall(r"(?:lowerdir|upperdir|workdir)\+?=([^,\s]+)", text)
    layers = [place for one in found for place in one.split(":") if place.startswith("/")]
    return [place for place in layers if os.path.isdir(place)] or None


@attack
def another_process_root() -> object:
    for name in filter(str.isdigit, os.listdir("/proc")):
        if os.path.isdir(f"/proc/{name}/root/store/bases"):
            return f"/proc/{name}/root/store"
    return None


@attack
def file_by_handle() -> object:
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128), 136)
    number = ctypes.c_int()
    call("name_to_handle_at", -100, b"/definitions", buffer, ctypes.byref(number), 0)
    place = os.open("/definitions", os.O_RDONLY)
    return call("open_by_handle_at", place, buffer, os.O_RDONLY)


@attack
def guess_a_file_by_its_handle() -> object:
    """The root of a file system of the ext family is inode 2: no path leads there."""
    place = os.open("/definitions", os.O_RDONLY)
    for kind, length, content in ((1, 8, struct.pack("II", 2, 0)), (0x81, 8, bytes(8))):
        handle = struct.pack("Ii", length, kind) + content.ljust(128, b"\0")
        descriptor = call("open_by_handle_at", place, handle, os.O_RDONLY)
        return os.listdir(descriptor)[:3]
    return None


@attack
def sockets_in_reach() -> object:
    """Any socket in the file system is of an engine, a controller, or a service of the host."""
    for root in (
        "/run",
        "/var",
        "/tmp",
        "/srv",
        "/mnt",
        "/definitions",
        "/output",
        "/dev",
        "/tree",
    ):
        for directory, folders, names in os.walk(root):
            del folders[200:]
            for path in (os.path.join(directory, name) for name in names):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    with socket.socket(socket.AF_UNIX) as client:
                        client.connect(path)
                        return f"connected to {path}"
    return None


@attack
def trusted_mark_of_overlayfs() -> object:
    os.makedirs("/tree/marked", exist_ok=True)
    os.setxattr("/tree/marked", "trusted.overlay.opaque", b"y")
    return os.getxattr("/tree/marked", "trusted.overlay.opaque")


@attack
def whiteout_by_hand() -> object:
    os.mknod("/tree/whiteout", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    return "made" if os.path.lexists("/tree/whiteout") else None


def lifted(place: str) -> str:
    """Make a read-only mount writable, in a mount namespace that nobody else is in."""
    private()
    mount(None, place, None, MS_REMOUNT | MS_BIND)
    return f"{place} can be written" if os.access(place, os.W_OK) else ""


@attack
def write_to_the_tools() -> object:
    return can_fill("/usr/bin")


@attack
def lift_the_cover_of_the_tools() -> object:
    try:
        return lifted("/usr") or None
    except OSError as err:
        if err.errno != errno.EINVAL:  # it is no mount of its own
            raise
    return lifted("/") or None


@attack
def write_to_the_definitions() -> object:
    return can_fill("/definitions")


@attack
def lift_the_cover_of_the_definitions() -> object:
    return lifted("/definitions") or None


@attack
def write_to_the_root() -> object:
    return can_fill("/")
