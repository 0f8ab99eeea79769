"""Runs GNU tar and compressors: what tar.write and sysroot.write share."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing takes longer to load than all else here
if TYPE_CHECKING:
    from typing import IO

# Nothing of the deployment's parameters may reach the tools (TAR_OPTIONS, GZIP, ZSTD_CLEVEL).
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
# The label is what this machine's policy says, not the tree's.
XATTRS = ["--xattrs", "--xattrs-include=*", "--xattrs-exclude=security.selinux"]
PACK = ["--create", "--file=-", "--format=pax", "--sort=name", "--numeric-owner", *XATTRS]
PACK += ["--warning=no-file-ignored"]
PIPE_BYTES = 1 << 20
# What tar says last, after the line that tells why.
PARTING_WORDS = ("exiting now", "due to previous errors")


class ToolFailed(OSError):
    """A program ended badly; says which, how, and its last words."""


class Whole:
    """An unbuffered file that takes all that it is given."""

    def __init__(self, file: "IO[bytes]") -> None:
        self._file = file

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file.fileno(), rest) :]


def is_gnu(program: str) -> bool:
    """Say whether the program is there and GNU's; BusyBox's keeps neither attributes nor bytes."""
    try:
        asked = subprocess.run(
            [program, "--version"], capture_output=True, env=ENVIRONMENT, timeout=60
        )
    except FileNotFoundError:
        return False
    ours = asked.stdout.startswith(program.encode()) and b"Free Software Foundation" in asked.stdout
    return ours and asked.returncode == 0


@contextmanager
def running(
    argv: Sequence[str],
    *,
    stdin: "int | IO[bytes]" = subprocess.DEVNULL,
    stdout: "int | IO[bytes]" = subprocess.DEVNULL,
    notes: list[str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of the block; ToolFailed if it fails.

    What it says on stderr is added to `notes` if given, else passed on. When the block itself
    fails, the program is killed.
    """
    with os.fdopen(os.memfd_create("stderr"), "w+b") as said:
        started = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=said, env=ENVIRONMENT, bufsize=PIPE_BYTES
        )
        _widen(started)
        broken = None
        try:
            with _killed_on_error(started):
                yield started
        except BrokenPipeError as err:
            # Whoever stopped reading has the better story to tell, if it is this program.
            broken = err
        finally:
            lines = _pass_on(said, notes)
    if started.returncode and (broken is None or started.stdin is not None):
        raise ToolFailed(_story(argv[0], started.returncode, lines))
    if broken is not None:
        raise broken


def _widen(started: subprocess.Popen[bytes]) -> None:
    """Give pipes room, where the user's share allows: a tar of small files takes a third less."""
    for pipe in (started.stdin, started.stdout):
        if pipe is not None:
            with suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


@contextmanager
def _killed_on_error(started: subprocess.Popen[bytes]) -> Iterator[None]:
    with started:
        try:
            yield
        except BrokenPipeError:
            raise
        except BaseException:
            started.kill()
            raise


def _pass_on(said: "IO[bytes]", notes: list[str] | None) -> list[str]:
    said.seek(0)
    lines = os.fsdecode(said.read()).splitlines()
    if notes is None:
        os.write(2, os.fsencode("".join(line + "\n" for line in lines)))
    else:
        notes += lines
    return lines


def _story(program: str, code: int, lines: list[str]) -> str:
    telling = [line for line in lines if not line.endswith(PARTING_WORDS)]
    last = f": {telling[-1]}" if telling else ""
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return f"{program} failed ({how}){last}"
