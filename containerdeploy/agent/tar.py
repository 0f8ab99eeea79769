"""The words that start tar, a decompressor, and in rootless mode what marks members in between.

Paths are those of the room that they run in.
"""

import os

from containerdeploy import wire
from containerdeploy.agent import kept
from containerdeploy.agent.failures import StepFailed

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TARGET = "/target"
LISTING = "/listing"
KEPT = "/kept"
DECOMPRESSORS: dict[str, tuple[str, ...]] = {
    "gz": ("igzip", "pigz", "gzip"),
    "xz": ("xz",),
    "bz2": ("lbzip2", "pbzip2", "bzip2"),
    "zst": ("zstd",),
}


def words(compression: wire.Compression, *, marking: bool) -> tuple[str, ...]:
    """Return the words that start tar, which reads the archive from stdin."""
    argv = [_tool("tar"), "--extract", "--file=-", f"--directory={TARGET}", "--numeric-owner"]
    argv += ["--same-owner", "--preserve-permissions", "--acls", "--xattrs", "--xattrs-include=*"]
    # For the sake of one line: an archive that was cut between two members is no error to tar.
    argv += ["--block-number", f"--index-file={LISTING}"]
    filters = [_decompressor(compression)] if compression != "none" else []
    if marking:
        marks = f"{wire.EXTENSIONS}/_marks.py"
        filters = [_tool("python3"), "-S", marks, kept.as_words(), KEPT, *(filters or ["-d"])]
    if filters:
        argv.append(f"--use-compress-program={' '.join(filters)}")
    return tuple(argv)


def _decompressor(compression: wire.Compression) -> str:
    """Return the words that start one; tar adds another -d to them.

    Of gzip 2 is a warning: something stands behind the end, which igzip and pigz don't mind.
    """
    command = f"{_tool(*DECOMPRESSORS[compression])} -d"
    is_gzip = os.path.basename(command) == "gzip -d"
    return f"sh -c '{command} || test $? -eq 2'" if is_gzip else command


def _tool(*names: str) -> str:
    import shutil

    for name in names:
        if found := shutil.which(name, path=PATH):
            return found
    raise StepFailed(
        "cannot start",
        f"the helper has no {names[-1]}",
        hint=f"use a helper image that has {' or '.join(names)}",
    )
