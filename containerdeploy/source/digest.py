"""The SHA-256 of an archive, remembered by path, size, times and inode."""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from containerdeploy.errors import SourceError

_SETTLED_NS = 2_000_000_000
_MAX_ENTRIES = 256
_MAX_CACHE = 4 * 1024 * 1024


def digest(path: Path, cache: Path) -> str:
    """Return the SHA-256 of the regular file `path` in hexadecimal.

    `cache` is a file (made as needed) that remembers digests. One taken within 2 s of the last
    change is not remembered: the file could change once more without its time telling. Raises
    SourceError where the file can't be read or changes meanwhile.
    """
    try:
        # O_NONBLOCK: a fifo in an archive's place must not hold everything up.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise SourceError(f"the source {str(path)!r} is no regular file")
            known = _load(cache).get(_key(path, before))
            if isinstance(known, str) and len(known) == 64:
                return known
            started_ns = time.time_ns()
            value = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except OSError as err:
        raise SourceError(f"the source {str(path)!r} can't be read", details=str(err)) from err
    if _key(path, before) != _key(path, after):
        raise SourceError(
            f"the source {str(path)!r} changed while it was read",
            hint="wait until whatever writes it is done, then try again",
        )
    if started_ns - max(before.st_mtime_ns, before.st_ctime_ns) >= _SETTLED_NS:
        _remember(cache, _key(path, before), value)
    return value


def _key(path: Path, found: os.stat_result) -> str:
    parts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return ":".join([*map(str, parts), str(path.absolute())])


def _load(cache: Path) -> dict[str, Any]:
    """Return what the cache holds; one that is damaged holds nothing."""
    try:
        with cache.open("rb") as file:
            held = json.loads(file.read(_MAX_CACHE))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _remember(cache: Path, key: str, value: str) -> None:
    """Add an entry, the newest last, and swap the file; not being able to is no failure."""
    held = {**_load(cache), key: value}
    newest = dict(list(held.items())[-_MAX_ENTRIES:])
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(
            "w", dir=cache.parent, prefix=f".{cache.name}-", suffix=".new", delete=False
        ) as file:
            json.dump(newest, file)
        Path(file.name).replace(cache)
