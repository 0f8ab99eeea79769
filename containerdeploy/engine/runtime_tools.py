"""The host's tools as the one image of the local engine: its id and the programs in it."""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path

from containerdeploy import programs

_FILES = ("/usr/lib/os-release", "/etc/os-release", "/var/lib/dpkg/status")
_DIRECTORIES = "/usr /usr/bin /usr/sbin /usr/lib /usr/lib64 /usr/local/bin".split()


def digest() -> str:
    """Return a digest of the distribution's release and package list.

    Where there is no dpkg, and for what was installed beside it, the times of the tools'
    directories stand in.
    """
    digest = hashlib.sha256()
    for path in map(Path, _FILES):
        with contextlib.suppress(OSError):
            digest.update(path.read_bytes())
    for path in map(Path, _DIRECTORIES):
        with contextlib.suppress(OSError):
            digest.update(f"{path} {path.stat().st_mtime_ns}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def labels() -> Mapping[str, str]:
    """Return the label that images have too: no layers, and the programs that are here."""
    return {programs.LABEL: "\n" + programs.as_text(programs.listed())}
