"""The agent as a zip archive that is sent down the helper's stdin: no image ever holds our code.

Modules travel as source and as code compiled by this Python; a helper with another version of it
takes the source. `python3 -I -S -c BOOTSTRAP` reads a line with two lengths, then the archive, then
the Job; it leaves stdin where the lease begins.
"""

import importlib.util
import io
import json
import marshal
import sys
import threading
import zipfile
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from containerdeploy import wire

BOOTSTRAP = """\
import os, sys
def take(size):
    pieces = []
    while size:
        piece = os.read(0, min(size, 1 << 20))
        if not piece: sys.exit("the controller went away")
        pieces.append(piece); size -= len(piece)
    return b"".join(pieces)
line = b""
while not line.endswith(b"\\n"): line += take(1)
archive, job = map(int, line.split())
fd = os.memfd_create("agent")
data = take(archive)
while data: data = data[os.write(fd, data):]
path = f"/proc/self/fd/{fd}"
sys.path.insert(0, path)
from containerdeploy.agent.boot import boot
boot(path, take(job))
"""
ARGV = ("python3", "-I", "-S", "-c", BOOTSTRAP)
ROOMS = ("agent", "wire")
MODULES = ("__init__.py", "frozen.py", "syscalls.py", "syscall_numbers.py")
EPOCH = (1980, 1, 1, 0, 0, 0)
_BUILDING = threading.Lock()
UNCHECKED_HASH = 0b01  # PEP 552: a .pyc that is never compared with its source


def opening(job: wire.Job) -> bytes:
    """Return all that goes down stdin before the first heartbeat."""
    line = wire.encode(job)
    with _BUILDING:  # many helpers may begin at once; one archive is for all
        archive = _archive()
    return b"%d %d\n%b%b" % (len(archive), len(line), archive, line)


@cache
def _archive() -> bytes:
    package = resources.files("containerdeploy")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in MODULES:
            _add_module(archive, f"containerdeploy/{name}", package.joinpath(name))
        for room in ROOMS:
            for item in package.joinpath(room).iterdir():
                if item.name.endswith(".py"):
                    _add_module(archive, f"containerdeploy/{room}/{item.name}", item)
        _add_extensions(archive, package.joinpath("extensions"))
    return buffer.getvalue()


def _add_module(archive: zipfile.ZipFile, name: str, item: Traversable) -> None:
    source = item.read_bytes()
    _add(archive, name, source)
    _add(archive, name + "c", _compiled(name, source))


def _compiled(name: str, source: bytes) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")
    return header + importlib.util.source_hash(source) + marshal.dumps(code)


def _add_extensions(archive: zipfile.ZipFile, folder: Traversable) -> None:
    """Add the built-in extensions; one with a `#!` line gets its run bit, come what may."""
    modes = {}
    for item in folder.iterdir():
        if item.is_file() and not item.name.endswith((".yaml", ".pyc")):
            data = item.read_bytes()
            modes[item.name] = 0o755 if data.startswith(b"#!") else 0o644
            _add(archive, f"extensions/{item.name}", data)
            if item.name.endswith(".py"):
                cached = f"__pycache__/{item.name[:-3]}.{sys.implementation.cache_tag}.pyc"
                modes[cached] = 0o644
                _add(archive, f"extensions/{cached}", _compiled(item.name, data))
    _add(archive, "extensions/index.json", json.dumps(modes, sort_keys=True).encode())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
