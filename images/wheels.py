"""Packs the wheels that an image needs for an old Python as a tar, each checked by its sha256."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = "usr/local/lib/python2.7/dist-packages"
TARGET = "--python-version=27 --implementation=cp --abi=cp27mu --platform=manylinux1_x86_64".split()
TIMEOUT_S = 300


class CannotFetch(Exception):
    """The wheels can't be had; the text says why."""


def pack(requirements: Path, tar: Path, epoch: int) -> None:
    """Write the content of the wheels that `requirements` pins to `tar`, the same bytes always."""
    with tempfile.TemporaryDirectory() as directory:
        _download(requirements, Path(directory))
        with tarfile.open(tar, "w") as archive:
            for wheel in sorted(Path(directory).iterdir()):
                for member, content in members(wheel, epoch):
                    archive.addfile(member, io.BytesIO(content))


def _download(requirements: Path, directory: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", f"--dest={directory}", "--no-deps"]
    argv += ["--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", *TARGET]
    ran = subprocess.run(
        [*argv, f"--requirement={requirements}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if ran.returncode:
        tail = "\n".join(ran.stdout.splitlines()[-6:])
        raise CannotFetch(f"the wheels of {requirements} could not be fetched:\n{tail}")


def members(wheel: Path, epoch: int) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield the members of a tar of a wheel's content, without what differs between machines."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith("/"):
                continue
            content = archive.read(name)
            member = tarfile.TarInfo(os.path.join(FOLDER, name))  # noqa: PTH118
            member.size, member.mode, member.mtime = len(content), 0o644, epoch
            yield member, content
