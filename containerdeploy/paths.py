"""Asks after paths as others spell them: too long, in a loop, with a NUL in it is not there."""

from collections.abc import Callable
from pathlib import Path


def is_file(path: Path) -> bool:
    return _holds(path.is_file)


def is_directory(path: Path) -> bool:
    return _holds(path.is_dir)


def is_there(path: Path) -> bool:
    return _holds(path.exists)


def _holds(ask: Callable[[], bool]) -> bool:
    """pathlib itself passes on what the kernel says of a name of 256 bytes."""
    try:
        return ask()
    except (OSError, ValueError, RuntimeError):
        return False
