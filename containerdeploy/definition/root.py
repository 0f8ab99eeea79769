"""Where definitions begin, and what lies in them."""

import os
import re
from pathlib import Path

from containerdeploy import paths
from containerdeploy.document import did_you_mean
from containerdeploy.errors import UsageError

SUFFIXES = ("", ".morph", ".yaml", ".yml")
_MARKS = (".git", "VERSION", "DEFAULTS")
_FORMATS = "0 1 2 3 4 5 6 7 8".split()
_FORMAT = re.compile(r"^\s*version\s*:\s*([^\s#]+)\s*(#.*)?$", re.MULTILINE)


def find_cluster(given: Path) -> Path:
    """Return the absolute path of a cluster file, given with or without its suffix."""
    path = given.parent.resolve() / given.name
    for suffix in SUFFIXES:
        candidate = path.with_name(path.name + suffix)
        if paths.is_file(candidate):
            return candidate
    if paths.is_there(path):
        raise UsageError(f"{str(given)!r} is no cluster file", hint="name a YAML file")
    hint = did_you_mean(path.name, _names(path.parent)) or "give the path of a YAML file"
    raise UsageError(f"there is no cluster file {str(given)!r}", hint=hint)


def find_root(cluster: Path, given: Path | None) -> Path:
    """Return the directory that paths in a cluster begin at.

    It is `given`, else the nearest parent of the cluster file that holds .git, VERSION or
    DEFAULTS, else the parent of a directory called clusters, else the cluster file's directory.
    """
    if given is not None:
        if not paths.is_directory(given):
            raise UsageError(
                f"the definitions {str(given)!r} are no directory",
                hint="give --definitions the directory that system paths begin at",
            )
        return given.resolve()
    for parent in cluster.parents:
        if any(paths.is_there(parent / mark) for mark in _MARKS):
            return parent
    folder = cluster.parent
    return folder.parent if folder.name == "clusters" else folder


def find_system(root: Path, morph: str) -> Path | None:
    """Return the file that a `morph` field names, with or without its suffix, or None."""
    for suffix in SUFFIXES:
        candidate = root / (morph + suffix)
        if paths.is_file(candidate):
            return candidate
    return None


def leaves(name: str) -> bool:
    """Say whether a path that should lie below the definitions root leads out of it."""
    normal = os.path.normpath(name)
    return Path(name).is_absolute() or normal == ".." or normal.startswith("../")


def near_system(root: Path, morph: str) -> str | None:
    """Return a hint that names the system file that was probably meant."""
    folder = Path(morph).parent
    folders = () if leaves(str(folder)) else dict.fromkeys((folder, Path("systems"), Path()))
    known = [str(folder / name) for folder in folders for name in _names(root / folder)]
    return did_you_mean(morph, known)


def format_warning(root: Path) -> str | None:
    """Return a warning where VERSION names a format of definitions that is not known here."""
    try:
        with (root / "VERSION").open(encoding="utf-8", errors="replace") as file:
            found = _FORMAT.search(file.read(4096))
    except OSError:
        return None
    if found is None or found[1] in _FORMATS:
        return None
    return (
        f"the definitions say that they are in format {found[1][:20]}; "
        f"formats up to {_FORMATS[-1]} are known, so some of it may be misread"
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(found.name for found in folder.iterdir())[:10_000]
    except (OSError, ValueError):
        return []
