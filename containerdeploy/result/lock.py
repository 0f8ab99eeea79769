"""Tells who is still running: a lock on a file in the run's record, which dies with its holder."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

LOCK = "lock"
_PATIENCE_S = 2.0


class RunLock:
    """Holds a run's lock while the `with` lasts; the directory must exist.

    Raises OSError, BlockingIOError when another process holds it.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LOCK
        self._descriptor = -1

    def __enter__(self) -> "RunLock":
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)


def is_live(run_dir: Path) -> bool:
    """Whether some process holds the lock of the run whose record this is."""
    return liveness(run_dir) is True


def liveness(run_dir: Path) -> bool | None:
    """The same, or None where nobody can tell from here: no such record, or another user's."""
    try:
        descriptor = os.open(run_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that two who ask at once don't take each other for the run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> None:
    """Take the lock; somebody who only asks holds it for an instant."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
