"""Finds extensions and reads their sidecars; runs none."""

import hashlib
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from containerdeploy import paths
from containerdeploy.document import did_you_mean, shown
from containerdeploy.errors import Problem
from containerdeploy.frozen import frozen
from containerdeploy.sidecar import Option as Option
from containerdeploy.sidecar import Sidecar as Sidecar
from containerdeploy.sidecar import read_sidecar

ExtensionKind = Literal["configure", "check", "write"]
KINDS: tuple[ExtensionKind, ...] = get_args(ExtensionKind)
_FOLDER = "extensions"
_MAX_LISTED = 10_000
_ELF = b"\x7fELF"


@frozen
class Extension:
    """An executable that was found.

    `interpreter` is the argv prefix to run it with when it has no run bit (from its `#!` line),
    empty when it is run itself; `runs_with` are the programs that this line names. `relative` is
    its path below the definitions root, or None for a built-in one. `sha256` is the digest of its
    bytes.
    """

    name: str
    kind: ExtensionKind
    path: Path
    relative: str | None
    interpreter: tuple[str, ...]
    sidecar: Sidecar
    sha256: str
    runs_with: tuple[str, ...] = ()


@frozen
class Fault:
    """Why an extension can't be used, and what to do about it."""

    message: str
    hint: str | None = None


@frozen
class Listed:
    """An extension's file, as listings show it."""

    name: str
    kind: ExtensionKind
    path: Path
    is_builtin: bool


class Finder:
    """Looks for extensions in the definitions, then among the built-in ones; remembers both.

    `problems` holds what is wrong with the sidecars of those found so far.
    """

    def __init__(self, root: Path | None, builtin: Path) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._builtin = builtin
        self._found: dict[tuple[str, str], Extension | Fault] = {}

    def find(self, name: str, kind: ExtensionKind) -> Extension | Fault:
        """Return the extension that a definition calls `name`, with or without its suffix."""
        if (name, kind) not in self._found:
            self._found[name, kind] = self._look(name, kind)
        return self._found[name, kind]

    def check_beside(self, write: Extension) -> Extension | Fault | None:
        """Return the `.check` that lies beside a write extension, or None."""
        path = write.path.with_name(write.path.name.removesuffix(".write") + ".check")
        key = (str(path), "check")
        if key not in self._found:
            if not paths.is_there(path):
                return None
            root = self._root if write.relative is not None else None
            self._found[key] = self._take(path, "check", root)
        return self._found[key]

    def every(self) -> Iterator[Listed]:
        """Yield all extensions there are: the definitions' own, then the built-in ones."""
        if self._root is not None:
            yield from _listed(self._root, self._root, is_builtin=False)
            for folder, folders, _ in os.walk(self._root / _FOLDER):
                folders.sort()
                yield from _listed(Path(folder), self._root, is_builtin=False)
        yield from _listed(self._builtin, self._builtin, is_builtin=True)

    def _look(self, name: str, kind: ExtensionKind) -> Extension | Fault:
        stem = name.removesuffix(f".{kind}")
        file = f"{stem}.{kind}"
        if not stem or Path(file).is_absolute() or "\0" in file:
            hint = "give its path from the definitions root, or its name"
            return Fault(message=f"{name!r} can't be an extension's name", hint=hint)
        if self._root is not None:
            for place in (self._root / file, self._root / _FOLDER / file):
                if os.path.lexists(place):
                    return self._take(place, kind, self._root)
        builtin = file.removeprefix(f"{_FOLDER}/")
        if "/" not in builtin and paths.is_file(self._builtin / builtin):
            return self._take(self._builtin / builtin, kind, None)
        return self._missing(name, file, kind)

    def _missing(self, name: str, file: str, kind: ExtensionKind) -> Fault:
        known = {one.name for one in self.every() if one.kind == kind}
        short = {known_name.removeprefix(f"{_FOLDER}/") for known_name in known}
        hint = did_you_mean(name.removesuffix(f".{kind}"), known | short)
        looked = f"looked for {file}, {_FOLDER}/{file} and a built-in one"
        return Fault(
            message=f"there is no {kind} extension {name!r}",
            hint=f"{hint} {looked}" if hint else looked,
        )

    def _take(self, path: Path, kind: ExtensionKind, root: Path | None) -> Extension | Fault:
        """Read what has to be known of the file at `path`; `root` is None for a built-in one."""
        if root is not None and not _lies_below(path, root):
            return Fault(
                message=f"the extension {str(path)!r} leads out of the definitions",
                hint="copy it into the definitions: only they are to be seen in the helper",
            )
        try:
            head, mode, sha256 = _read(path)
        except OSError as err:
            return Fault(message=f"the extension {str(path)!r} can't be read: {err.strerror}")
        wrong = _unusable(path, head, mode)
        if wrong is not None:
            return wrong
        sidecar, problems = read_sidecar(path.with_name(path.name + ".yaml"), shown(path) + ".yaml")
        self.problems.extend(problems)
        return Extension(
            name=path.name.removesuffix(f".{kind}"),
            kind=kind,
            path=path,
            relative=str(path.relative_to(root)) if root is not None else None,
            interpreter=() if mode & 0o111 else tuple(_interpreter(head)),
            sidecar=sidecar,
            sha256=sha256,
            runs_with=tuple(_runs_with(_interpreter(head))),
        )


def _listed(folder: Path, root: Path, *, is_builtin: bool) -> Iterator[Listed]:
    try:
        paths = sorted(folder.iterdir())[:_MAX_LISTED]
    except OSError:
        return
    for path in paths:
        for kind in KINDS:
            if path.name.endswith(f".{kind}") and path.is_file():
                name = str(path.relative_to(root)).removesuffix(f".{kind}")
                yield Listed(name=name, kind=kind, path=path, is_builtin=is_builtin)


def _lies_below(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a loop of symbolic links
        return False


def _read(path: Path) -> tuple[bytes, int, str]:
    """Return a regular file's first line or 256 bytes of it, its mode and its digest."""
    # O_NONBLOCK: a fifo in an extension's place must not hold everything up.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "is no regular file")
        head = file.readline(256)
        file.seek(0)
        return head, mode, hashlib.file_digest(file, "sha256").hexdigest()


def _unusable(path: Path, head: bytes, mode: int) -> Fault | None:
    if head.startswith(b"#!") and head.endswith(b"\r\n"):
        return Fault(
            message=f"the '#!' line of {str(path)!r} ends in a carriage return",
            hint="save the file with Unix line ends",
        )
    is_binary = head.startswith(_ELF)
    if _interpreter(head) or (is_binary and mode & 0o111):
        return None
    lack = "run bit" if is_binary else "'#!' line"
    return Fault(
        message=f"the extension {str(path)!r} has no {lack}",
        hint="set it with chmod +x" if is_binary else "begin it with a line such as #!/bin/sh",
    )


def _interpreter(head: bytes) -> list[str]:
    """Return the interpreter and its one argument from a `#!` line, split as the kernel does."""
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:]).strip().split(maxsplit=1)


def _runs_with(interpreter: list[str]) -> Iterator[str]:
    """Yield the interpreter, and what env is to look for."""
    if not interpreter:
        return
    yield interpreter[0]
    if interpreter[0].endswith("/env") and len(interpreter) > 1:
        words = interpreter[1].split()
        is_split = words[0].startswith(("-S", "--split-string"))
        named = (word for word in words if not word.startswith("-") and "=" not in word)
        yield from islice(named, 1) if is_split else [interpreter[1]]
