"""A tree, definitions and the outside, to run a built-in configuration extension among."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

EXTENSIONS = Path(__file__).parents[2] / "containerdeploy" / "extensions"
Snapshot = dict[str, tuple[int, int, int, bytes]]


class World:
    """Definitions to read from, a tree to configure, and what lies outside of it."""

    def __init__(self, path: Path) -> None:
        self.definitions = path / "definitions"
        self.tree = path / "tree"
        self.outside = path / "outside"
        for directory in (self.definitions, self.tree / "etc", self.outside):
            directory.mkdir(parents=True)

    def run(self, name: str, **parameters: str) -> subprocess.CompletedProcess[str]:
        """Run NAME.configure on the tree with nothing but the protocol's environment."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {"PATH": path, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(EXTENSIONS)}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "UPGRADE": "no", **parameters}
        argv = [EXTENSIONS / f"{name}.configure", self.tree]
        return subprocess.run(
            argv, cwd=self.definitions, env=environment, capture_output=True, text=True, timeout=60
        )

    def configure(self, name: str, **parameters: str) -> None:
        done = self.run(name, **parameters)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def refusal(self, name: str, **parameters: str) -> str:
        """Return the one line that a refused run says; the tree has to be what it was."""
        before = snapshot(self.tree)
        done = self.run(name, **parameters)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.startswith("ERROR: ")
        assert done.stdout.count("\n") == 1
        assert snapshot(self.tree) == before
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Write a file of the definitions."""
        file = self.definitions / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(text))
        file.chmod(mode)
        return file

    def read(self, path: str) -> str:
        return os.fsdecode((self.tree / path.lstrip("/")).read_bytes())

    def mode(self, path: str) -> int:
        return stat.S_IMODE((self.tree / path.lstrip("/")).lstat().st_mode)


def snapshot(tree: Path) -> Snapshot:
    return {str(path.relative_to(tree)): describe(path) for path in walk(tree)}


def walk(tree: Path) -> Iterator[Path]:
    yield tree
    yield from sorted(tree.rglob("*"))


def describe(path: Path) -> tuple[int, int, int, bytes]:
    found = path.lstat()
    content = b""
    if stat.S_ISLNK(found.st_mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(found.st_mode):
        content = path.read_bytes()
    return found.st_mode, found.st_uid, found.st_gid, content
