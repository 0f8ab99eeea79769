"""The agent as a bundle that is sent down the helper's stdin: no image ever holds our code.

Modules travel as source and as the code that this Python has compiled; a helper with another
version of it takes the source. `python3 -I -S -c BOOTSTRAP` reads a line with two lengths, then the
bundle, then the Job; it leaves stdin where the lease begins.
"""

import importlib.util
import marshal
import sys
import threading
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from containerdeploy import wire

BOOTSTRAP = """\
import gc, marshal, os, sys
gc.disable()
from importlib.machinery import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
def take(size):
    pieces = []
    while size:
        piece = os.read(0, min(size, 1 << 20))
        if not piece: sys.exit("the controller went away")
        pieces.append(piece); size -= len(piece)
    return b"".join(pieces)
class Bundle:
    def __init__(self, magic, modules):
        self.is_compiled, self.modules = magic == MAGIC_NUMBER, modules
    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            return ModuleSpec(name, self, is_package=self.modules[name][0])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        _, source, code = self.modules[module.__name__]
        file = module.__name__.replace(".", "/")
        exec(marshal.loads(code) if self.is_compiled else compile(source, file, "exec"),
             module.__dict__)
line = b""
while not line.endswith(b"\\n"): line += take(1)
bundle, job = map(int, line.split())
magic, modules, extensions = marshal.loads(take(bundle))
sys.meta_path.insert(0, Bundle(magic, modules))
from containerdeploy.agent.boot import boot
boot(extensions, take(job))
"""
ARGV = ("python3", "-I", "-S", "-c", BOOTSTRAP)
PACKAGE = "containerdeploy"
ROOMS = ("agent", "cache", "gateway", "wire")
MODULES = ("__init__", "frozen", "syscalls", "syscall_numbers")
MARSHAL_VERSION = 2  # any Python 3 reads it
_BUILDING = threading.Lock()

Module = tuple[bool, bytes, bytes]
Files = dict[str, tuple[int, bytes]]


def opening(job: wire.Job) -> bytes:
    """Return all that goes down stdin before the first heartbeat."""
    line = wire.encode(job)
    with _BUILDING:  # many helpers may begin at once; one bundle is for all
        bundle = _bundle()
    return b"%d %d\n%b%b" % (len(bundle), len(line), bundle, line)


@cache
def _bundle() -> bytes:
    """Marshal what the bootstrap takes apart: modules as (is a package, source, code), files."""
    modules = {name: _module(name, item) for name, item in _modules()}
    extensions = _extensions(resources.files(PACKAGE).joinpath("extensions"))
    return marshal.dumps((importlib.util.MAGIC_NUMBER, modules, extensions), MARSHAL_VERSION)


def _modules() -> Iterator[tuple[str, Traversable]]:
    """Yield each module's full name and its file."""
    package = resources.files(PACKAGE)
    for name in MODULES:
        yield f"{PACKAGE}.{name}".removesuffix(".__init__"), package.joinpath(f"{name}.py")
    for room in ROOMS:
        for item in package.joinpath(room).iterdir():
            if item.name.endswith(".py"):
                name = f"{PACKAGE}.{room}.{item.name[:-3]}"
                yield name.removesuffix(".__init__"), item


def _module(name: str, item: Traversable) -> Module:
    source = item.read_bytes()
    found = importlib.util.find_spec(name)
    assert found is not None
    # The loader keeps compiled code on disk: compiling all of it takes 30 ms.
    code = getattr(found.loader, "get_code", lambda _: None)(name)
    code = code or compile(source, name, "exec", dont_inherit=True)
    return item.name == "__init__.py", source, marshal.dumps(code)


def _extensions(folder: Traversable) -> Files:
    """Return the built-in extensions, by name: mode and content.

    One with a `#!` line gets its run bit, come what may; modules also come compiled.
    """
    files = {}
    for item in folder.iterdir():
        if item.is_file() and not item.name.endswith((".yaml", ".pyc")):
            data = item.read_bytes()
            files[item.name] = (0o755 if data.startswith(b"#!") else 0o644, data)
            if item.name.endswith(".py"):
                cached = f"__pycache__/{item.name[:-3]}.{sys.implementation.cache_tag}.pyc"
                files[cached] = (0o644, _compiled(item.name, data))
    return files


def _compiled(name: str, source: bytes) -> bytes:
    """Return a .pyc that is never compared with its source (PEP 552, unchecked)."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    unchecked = 0b01
    header = importlib.util.MAGIC_NUMBER + unchecked.to_bytes(4, "little")
    return header + importlib.util.source_hash(source) + marshal.dumps(code)
