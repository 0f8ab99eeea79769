"""The extension protocol as the built-in extensions meet it: arguments, parameters, errors."""

import os
import stat
import sys
from collections.abc import Callable


class Problem(Exception):
    """Input that can't be used; its text is the one line that the user gets to read."""


def run(action: Callable[..., None], *arguments: str) -> int:
    """Call `action` with the command line's arguments, named `arguments`; return the exit code.

    A Problem or an OSError becomes one `ERROR: ...` line on stdout, where this protocol's callers
    look for it, and exit code 1.
    """
    os.umask(0o022)
    try:
        if len(sys.argv) != len(arguments) + 1:
            name = sys.argv[0].rpartition("/")[2]
            raise Problem(f"usage: {name} {' '.join(arguments)}")
        action(*sys.argv[1:])
    except (Problem, OSError) as err:
        say(f"ERROR: {_sentence(err)}")
        return 1
    return 0


def say(line: str) -> None:
    """Print one line on stdout, whatever bytes a file's name holds."""
    one_line = line.replace("\\", "\\\\") if "\n" in line else line
    sys.stdout.buffer.write(os.fsencode(one_line.replace("\n", "\\n")) + b"\n")
    sys.stdout.buffer.flush()


def parameter(name: str) -> str:
    """Return the parameter's value, "" when it is not set."""
    return os.environ.get(name, "")


def parameters(prefix: str) -> dict[str, str]:
    """Return all parameters whose names start with `prefix`, in order of name."""
    names = sorted(name for name in os.environ if name.startswith(prefix))
    return {name: os.environ[name] for name in names}


def open_regular(path: str) -> int:
    """Open a file of the definitions for reading; anything but a regular file is a Problem."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        raise Problem(f"cannot read {path!r}: {err.strerror}") from err
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise Problem(f"cannot read {path!r}: it is not a regular file")
    return opened


def read(path: str) -> bytes:
    """Return the bytes of a file of the definitions."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


def _sentence(err: Problem | OSError) -> str:
    if isinstance(err, OSError) and err.strerror:
        return f"{err.filename}: {err.strerror}" if err.filename else err.strerror
    return str(err)
