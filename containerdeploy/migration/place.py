"""Puts new files in their places: all of them or none, and never in another's place."""

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from containerdeploy.errors import UsageError
from containerdeploy.migration.model import NewFile


def without_those_there(files: Sequence[NewFile]) -> list[NewFile]:
    """Leave out the files that are in their places already, as another cluster's migration does."""
    return [file for file in files if not _is_there(file)]


def _is_there(file: NewFile) -> bool:
    try:
        return file.path.read_bytes() == file.text.encode()
    except OSError:
        return False


def refuse_existing(files: Sequence[NewFile]) -> None:
    """Raise UsageError that names every file that is in the way."""
    there = [str(file.path) for file in files if os.path.lexists(file.path)]
    if there:
        words = "a file is" if len(there) == 1 else f"{len(there)} files are"
        raise UsageError(
            f"{words} there already, so nothing was written",
            details="\n".join(there),
            hint="--force replaces them, --output DIR writes to another place",
        )


def put(files: Sequence[NewFile], *, force: bool) -> None:
    """Write all files; where one can't be written, take back the others and raise UsageError."""
    try:
        with ExitStack() as scraps, ExitStack() as undo:
            ready = [(_write(file, scraps), file.path) for file in files]
            for new, path in ready:
                if force and os.path.lexists(path):
                    _swap(new, path, scraps, undo)
                else:
                    os.link(new, path)  # unlike a rename, it never replaces a file
                    undo.callback(path.unlink)
            undo.pop_all()
    except OSError as err:
        where = err.filename2 or err.filename
        raise UsageError(
            f"{str(where)!r} can't be written: {err.strerror}",
            details="nothing was written",
            hint="--output DIR writes to another place",
        ) from err


def _write(file: NewFile, scraps: ExitStack) -> Path:
    """Write the file under another name beside its own, with the mode of its model."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".migrate-", dir=file.path.parent)
    scraps.callback(Path(name).unlink, missing_ok=True)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        out.write(file.text)
        os.fchmod(out.fileno(), stat.S_IMODE(file.beside.stat().st_mode) & 0o666)
    return Path(name)


def _swap(new: Path, path: Path, scraps: ExitStack, undo: ExitStack) -> None:
    """Replace a file, which keeps a second name until all is done."""
    old = new.with_name(f"{new.name}.old")
    os.link(path, old, follow_symlinks=False)
    scraps.callback(old.unlink, missing_ok=True)
    new.replace(path)
    undo.callback(old.replace, path)
