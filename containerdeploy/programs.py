"""The programs that an image offers: listed, kept as text in a label or a file, asked by name.

Nothing of ours is imported here: an image that nobody has listed yet is asked by a Python of its
own, which gets this module's text.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

LABEL = "containerdeploy.programs"  # its first line: the layers that it is true for
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")
# Where /bin is no link to /usr/bin, the two are taken for one here: what runs them looks in both.
ALSO = {"/sbin": "/usr/sbin", "/bin": "/usr/bin"}


class Programs:
    """What was listed as `text`; only the usual folders are known."""

    def __init__(self, text: str) -> None:
        lines = (line.split() for line in text.splitlines())
        self._names = {words[0]: frozenset(words[1:]) for words in lines if words}

    def has(self, program: str) -> bool:
        """Say whether a path, or a name on the PATH, is there; of other folders, that it may be."""
        folder, slash, name = program.rpartition("/")
        if not slash:
            return any(program in names for names in self._names.values())
        folder = ALSO.get(folder, folder)
        return folder not in FOLDERS or name in self._names.get(folder, ())


def as_text(paths: Iterable[str]) -> str:
    """Return a line for each folder of programs: its path, then the names in it."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folder = ALSO.get(folder, folder)
        if folder in FOLDERS and name and len(name.split()) == 1:
            found.setdefault(folder, set()).add(name)
    return "\n".join(" ".join((folder, *sorted(found[folder]))) for folder in sorted(found))


def listed() -> Iterator[str]:
    """Yield the paths of all that lies where this process looks for programs."""
    for folder in (*FOLDERS, *ALSO):
        if Path(folder).is_dir() and not Path(folder).is_symlink():
            with os.scandir(folder) as entries:
                yield from (entry.path for entry in entries)


if __name__ == "__main__":
    sys.stdout.write(as_text(listed()) + "\n")
