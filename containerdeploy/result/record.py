"""Writes a run's record: record.json, events.jsonl and every step's whole log.

    <home>/runs/<run id>/   record.json   what was asked, and at the end what came of it
                            events.jsonl  every happening (of Progress one a second, of what
                                          steps say the first LOGGED_BYTES of each system)
                            logs/<system>/<deployment>/<NN>-<step>.log
                            lock          held while the run lives

A record that can't be written never fails the deploy: see `warnings`.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from containerdeploy import wire
from containerdeploy.result.codec import happening_to_json, to_json
from containerdeploy.result.happenings import Happening, Heard, SystemFinished
from containerdeploy.result.lock import RunLock, is_live
from containerdeploy.result.names import RUN_ID
from containerdeploy.result.outcomes import RunResult
from containerdeploy.result.steplog import StepLogs
from containerdeploy.result.values import RunHeader, masked

FORMAT = 1
KEEP = 100
RESERVE = 0.1
LOGGED_BYTES = 32 << 20
EVENT_BYTES = 200  # about what a short piece of a log takes beside its text
_FLUSH_S = 0.5
_BUFFER = 256 * 1024
_REMOVING = ".removing-"
_EVENTS = "the run's events"
_LOGS = "the steps' logs"


class RunRecord:
    """The record of one run, open while the `with` lasts; `take` each happening as it comes."""

    def __init__(
        self,
        home: Path,
        header: RunHeader,
        *,
        keep: int = KEEP,
        clock: Callable[[], float] = time.time,
        reserve: float = RESERVE,
    ) -> None:
        """`reserve` is the part of what is free on the disk that logs and events never take."""
        self.directory = home / "runs" / header.run
        self._header = masked(header)
        self._keep = keep
        self._clock = clock
        self._started = clock()
        self._stack = ExitStack()
        self._events: BinaryIO | None = None
        self._logs: StepLogs | None = None
        self._reserve = reserve
        self._reserve_bytes = 0
        self._flushed = 0.0
        self._progress: dict[str, float] = {}
        self._told: dict[str, int] = {}
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be recorded, and why; for the user to read at the end."""
        return tuple(self._warnings)

    def __enter__(self) -> "RunRecord":
        with self._sparing("the run's record"):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700)
            self._stack.enter_context(RunLock(self.directory))
            self._write_record({})
            self._events = (self.directory / "events.jsonl").open("wb", buffering=_BUFFER)
            self._logs = StepLogs(self.directory)
            self._reserve_bytes = int(_free_bytes(self.directory) * self._reserve)
        with self._sparing("the end of old records"):
            prune(self.directory.parent, self._keep)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close_files()
        self._stack.close()

    def take(self, happening: Happening) -> None:
        """Record the next happening; never raises for a disk."""
        is_time = time.monotonic() - self._flushed > _FLUSH_S
        if is_time:
            self._flushed = time.monotonic()
            self._leave_room()
        if self._events and not self._is_left_out(happening):
            with self._sparing(_EVENTS, self._lose_events):
                self._write_event(self._events, happening, flush=is_time)
        if self._logs:
            with self._sparing(_LOGS, self._lose_logs):
                _write_log(self._logs, happening, flush=is_time)

    def finish(self, results: RunResult) -> None:
        """Write the final record; call it last."""
        self._close_files()
        if self.directory.is_dir():
            with self._sparing("the run's results"):
                self._write_record({"ended": self._clock(), "results": to_json(results)})

    def _is_left_out(self, happening: Happening) -> bool:
        """The logs have all that was said; it need not be told twice without an end."""
        if not isinstance(happening, Heard):
            return False
        if isinstance(happening.event, wire.Progress):
            return self._is_too_soon(happening)
        if isinstance(happening.event, wire.Log):
            told = self._told.get(happening.system, 0) + len(happening.event.text) + EVENT_BYTES
            self._told[happening.system] = told
            return told > LOGGED_BYTES
        return False

    def _is_too_soon(self, happening: Heard) -> bool:
        now = self._clock()
        if 0 <= now - self._progress.get(happening.system, -1.0) < 1:
            return True
        self._progress[happening.system] = now
        return False

    def _write_event(self, events: BinaryIO, happening: Happening, *, flush: bool) -> None:
        body = happening_to_json(happening, self._clock())
        events.write(json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n")
        if flush:
            events.flush()

    def _write_record(self, ending: dict[str, Any]) -> None:
        body = {
            "format": FORMAT,
            "header": to_json(self._header),
            "started": self._started,
            **ending,
            "warnings": self._warnings,
        }
        text = json.dumps(body, indent=1, default=str)
        write_atomically(self.directory / "record.json", text.encode("ascii"))

    def _close_files(self) -> None:
        events, self._events = self._events, None
        logs, self._logs = self._logs, None
        if logs:
            with self._sparing(_LOGS):
                logs.close()
        if events:
            with self._sparing(_EVENTS):
                events.close()

    def _leave_room(self) -> None:
        """Give up what grows before the disk is full for all others."""
        if self._events or self._logs:
            with self._sparing("the rest of logs and events", self._lose_both):
                if _free_bytes(self.directory) < self._reserve_bytes:
                    words = f"{os.strerror(errno.ENOSPC)} but {self._reserve_bytes} bytes"
                    raise OSError(errno.ENOSPC, words)

    def _lose_both(self) -> None:
        self._lose_events()
        self._lose_logs()

    def _lose_events(self) -> None:
        _discard(self._events)
        self._events = None

    def _lose_logs(self) -> None:
        _discard(self._logs)
        self._logs = None

    @contextmanager
    def _sparing(self, what: str, lose: Callable[[], None] | None = None) -> Iterator[None]:
        """Turn a disk that fails into a warning; `lose` gives up what failed."""
        try:
            yield
        except OSError as err:
            self._warnings.append(f"{what} could not be written: {err}")
            if lose:
                lose()


def _free_bytes(directory: Path) -> int:
    space = os.statvfs(directory)
    return space.f_bavail * space.f_frsize


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader sees the old file or the new one, never half of it."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def prune(runs: Path, keep: int) -> None:
    """Remove the oldest records until `keep` are left; a live run's record stays."""
    entries = sorted(path for path in runs.iterdir() if path.is_dir())
    records = [path for path in entries if RUN_ID.fullmatch(path.name)]
    for path in records[: max(0, len(records) - keep)]:
        if not is_live(path):
            gone = path.with_name(_REMOVING + path.name)
            with suppress(FileNotFoundError):
                path.rename(gone)
                entries.append(gone)
    for path in entries:
        if path.name.startswith(_REMOVING):
            shutil.rmtree(path, ignore_errors=True)


def _write_log(logs: StepLogs, happening: Happening, *, flush: bool) -> None:
    if isinstance(happening, Heard):
        logs.take(happening.system, happening.event)
    elif isinstance(happening, SystemFinished):
        logs.end(happening.system)
    if flush:
        logs.flush()


def _discard(file: BinaryIO | StepLogs | None) -> None:
    if file:
        with suppress(OSError):
            file.close()
