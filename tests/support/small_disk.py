"""A disk that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DISK_BYTES = 12 << 20


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """An ext4 of a few megabytes in a file, mounted; only root can."""
    image, mounted = directory / "disk.img", directory / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
    made = subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop mounts here: {made.stderr.decode(errors='replace').strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)
