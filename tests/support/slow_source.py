"""A source that takes seconds to unpack and next to nothing on any disk."""

import gzip
import io
import tarfile
from pathlib import Path

TIMES = 300_000


def write(target: Path) -> None:
    """Write a tar.gz whose first file comes again and again, each time taking its place."""
    member = tarfile.TarInfo("./etc/hostname")
    member.mtime = 1_735_689_600
    block = member.tobuf() * 1000
    with gzip.GzipFile(target, "wb", compresslevel=1, mtime=0) as zipped:
        for path in (".", "./etc"):
            directory = tarfile.TarInfo(path)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            zipped.write(directory.tobuf())
        for _ in range(TIMES // 1000):
            zipped.write(block)
        zipped.write(io.BytesIO(bytes(1024)).read())
