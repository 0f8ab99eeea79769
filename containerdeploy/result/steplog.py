"""Writes every step's whole log to a file of its own, as the bytes that it said."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from containerdeploy import wire
from containerdeploy.result.names import log_name, to_bytes

_BUFFER = 64 * 1024


@dataclass(kw_only=True)
class _Log:
    """The log of a system's running step, made when the step says something.

    `mid_line` names the stream whose line is open.
    """

    step: str
    path: Path
    file: BinaryIO | None = None
    mid_line: str = ""


class StepLogs:
    """The logs below one record. A helper has one step at a time: so one file per system is open.

    Methods raise OSError.
    """

    def __init__(self, record: Path) -> None:
        self._record = record
        self._open: dict[str, _Log] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def take(self, system: str, event: wire.Event) -> None:
        match event:
            case wire.StepStarted():
                self._start(system, event)
            case wire.Log() if (log := self._open.get(system)) and log.step == event.step:
                _write(log, event)
            case wire.StepFinished():
                self.end(system)
            case _:
                pass

    def end(self, system: str) -> None:
        """Close what is open of a system."""
        log = self._open.pop(system, None)
        if log and log.file:
            log.file.close()

    def flush(self) -> None:
        for log in self._open.values():
            if log.file:
                log.file.flush()

    def close(self) -> None:
        """Close all; after an error, too, nothing is left open."""
        with ExitStack() as stack:
            for system in list(self._open):
                stack.callback(self.end, system)

    def _start(self, system: str, event: wire.StepStarted) -> None:
        self.end(system)
        number = self._numbers.get((system, event.deployment), 0) + 1
        self._numbers[system, event.deployment] = number
        path = self._record / log_name(system, event, number)
        self._open[system] = _Log(step=event.step, path=path)


def _write(log: _Log, event: wire.Log) -> None:
    """Lines of two streams never run into each other; the bytes of a line stay what they were."""
    if log.file is None:
        log.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.file = log.path.open("wb", buffering=_BUFFER)
    if log.mid_line and log.mid_line != event.stream:
        log.file.write(b"\n")
    log.file.write(to_bytes(event.text))
    if not event.partial:
        log.file.write(b"\n")
    log.mid_line = event.stream if event.partial else ""
