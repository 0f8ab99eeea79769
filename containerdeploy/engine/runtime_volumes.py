"""Tar streams into and out of a local volume, as the container's users see its files."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from containerdeploy.engine import runtime_tar
from containerdeploy.engine.runtime_removal import launcher_argv

CHUNK_BYTES = 1 << 18
MESSAGE_BYTES = 2000
END_S = 60.0  # from the end of its output to its own


def unpack(volume: Path, inside: str, tar: Iterable[bytes]) -> None:
    """Unpack below `inside`, a directory of the volume; raise OSError or tarfile.TarError."""
    if os.geteuid() == 0:
        runtime_tar.unpack(str(volume), inside, runtime_tar.stream_of(tar))
        return
    argv = launcher_argv("unpack", str(volume), inside)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as helper:
        assert helper.stdin is not None
        with suppress(BrokenPipeError), helper.stdin:
            for piece in tar:
                helper.stdin.write(piece)
        _finish(helper)


def pack(volume: Path, inside: str) -> Iterator[bytes]:
    """Yield a tar of `inside`; raise OSError."""
    if os.geteuid() == 0:
        yield from runtime_tar.pack(str(volume), inside)
        return
    argv = launcher_argv("pack", str(volume), inside)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as helper:
        assert helper.stdout is not None
        try:
            while piece := helper.stdout.read(CHUNK_BYTES):
                yield piece
        except GeneratorExit:
            helper.kill()
            raise
        _finish(helper)


def _finish(helper: "subprocess.Popen[bytes]") -> None:
    """Raise OSError with what the helper said, when it failed."""
    assert helper.stderr is not None
    said = helper.stderr.read(MESSAGE_BYTES).decode(errors="replace")
    if helper.wait(END_S):
        raise OSError(said or f"the helper ended with {helper.returncode}")
