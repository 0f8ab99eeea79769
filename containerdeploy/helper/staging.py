"""Staging directories beside the targets: artifacts appear in their place whole, by a rename.

They are the only things of a run that lie outside its record and the store. A janitor, a small
process of its own, removes them should the controller be killed, and what else it is told of.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from containerdeploy.engine import runtime_files
from containerdeploy.errors import DeployError

JANITOR = Path(__file__).with_name("janitor.py")
PREFIX = ".containerdeploy-"
TARGETS = "targets"  # in the run's record: the directories to look in should all else be killed


class Staging:
    """Makes and removes staging directories; safe from several threads."""

    def __init__(self, run: str, record: Path) -> None:
        self._run = run
        self._record = record
        self._lock = threading.Lock()
        self._janitor: subprocess.Popen[bytes] | None = None
        self._made: list[Path] = []

    def __enter__(self) -> "Staging":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._janitor is not None and self._janitor.stdin is not None:
            self._janitor.stdin.close()
            self._janitor.wait()

    def make(self, target: Path, slot: int) -> Path:
        """Make an empty directory beside `target`; raise DeployError if that can't be."""
        directory = target.parent / f"{PREFIX}{self._run}-{slot}"
        try:
            with (self._record / TARGETS).open("ab") as stream:
                stream.write(os.fsencode(target.parent) + b"\0")
            self.watch(directory)
            directory.mkdir(mode=0o700)
        except OSError as err:
            raise DeployError(
                f"cannot write beside {target}",
                details=str(err),
                hint="its directory must exist and be writable",
            ) from err
        return directory

    @contextmanager
    def file(self, path: Path, text: str) -> Iterator[None]:
        """Have a small file while the block runs; raise DeployError if that can't be."""
        try:
            self.watch(path)
            path.write_text(text, encoding="ascii")
        except OSError as err:
            path.unlink(missing_ok=True)
            raise DeployError(
                f"cannot write {path}",
                details=str(err),
                hint="records and what a run needs lie in CONTAINERDEPLOY_HOME: make room there",
            ) from err
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            self._tell("-", path)

    def remove(self, directory: Path) -> None:
        """Remove a staging directory and what is left in it."""
        remove_tree(directory)
        self._tell("-", directory)

    def watch(self, path: Path) -> None:
        """Have the janitor remove `path`, which is not there yet, should we be killed."""
        self._made.append(path)
        self._tell("+", path)

    @contextmanager
    def helper(self, engine: str, name: str) -> Iterator[None]:
        """Have the janitor remove a helper that we don't live to start; for engines on this host.

        `engine` is its address.
        """
        scheme, _, place = engine.partition("://")
        if scheme != "unix":
            yield
            return
        who = f"{place}\n{name}"
        self._tell("*", who)
        try:
            yield
        finally:
            self._tell(".", who)

    def left(self) -> list[Path]:
        """Return what was made and is still there."""
        return [path for path in self._made if os.path.lexists(path)]

    def _tell(self, sign: str, what: Path | str) -> None:
        with self._lock:
            if self._janitor is None:
                self._janitor = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(JANITOR)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            assert self._janitor.stdin is not None
            self._janitor.stdin.write(sign.encode() + os.fsencode(what) + b"\0")
            self._janitor.stdin.flush()


def remove_tree(directory: Path) -> None:
    """Remove a tree that an extension may have filled, at any depth; a missing one is fine."""
    try:
        runtime_files.remove_tree(str(directory))
    except OSError:  # what an ordinary user may not remove is told by who looks for it
        shutil.rmtree(directory, ignore_errors=True)


def left_by(record: Path) -> list[Path]:
    """Return the staging directories that a dead run left beside its targets."""
    try:
        listed = (record / TARGETS).read_bytes().split(b"\0")
    except OSError:
        return []
    pattern = f"{PREFIX}{record.name}-*"
    parents = {Path(os.fsdecode(path)) for path in listed if path}
    return sorted(found for parent in parents for found in parent.glob(pattern))
