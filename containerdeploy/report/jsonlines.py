"""Reports of JSON lines, for programs: one object for each happening, in order, and nothing else.

    {"happening": "RunStarted", "at": 1767323045.123, "run": …, "verb": …, "cluster": …,
     "engine": …, "systems": [[SYSTEM, [DEPLOYMENT, …]], …], "record": DIRECTORY, "parents": …}
    {"happening": "SystemStarted", "at": …, "system": …, "image": …}
    {"happening": "Heard", "at": …, "system": …, "event": {"event": "StepFinished", "step": …}}
    {"happening": "Delivered", "at": …, "system": …, "deployment": …, "path": …,
     "size_bytes": …, "sha256": …}
    {"happening": "SystemFinished", "at": …, "system": …, "outcome": …, "brief": …, …}
    {"happening": "RunFinished", "at": …, "exit_code": 0, "leftovers": [], "looked_for": […]}

`at` is seconds since the epoch. The kinds of event and their fields are those of the wire
(containerdeploy/wire/events.py). Lines are ASCII; bytes that are not UTF-8 are lone surrogates.
The record's events.jsonl has the same lines. A reader must put up with new fields and kinds.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from containerdeploy.errors import UsageError
from containerdeploy.report.stream import LineStream
from containerdeploy.result import Happening, RunResult, happening_to_json


class JsonReporter:
    """Each happening as one JSON line."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.time) -> None:
        self._stream = LineStream(stream)
        self._clock = clock

    @property
    def problem(self) -> str:
        """Why not all could be written, or nothing."""
        return self._stream.problem

    def show(self, happening: Happening) -> None:
        body = happening_to_json(happening, self._clock())
        self._stream.write_lines([json.dumps(body, separators=(",", ":"))])

    def close(self, results: RunResult) -> None:
        """All has been said."""


class EventsFile(JsonReporter):
    """The same in a file of its own (`--events FILE`), beside whatever else reports."""

    def __init__(self, path: Path) -> None:
        """Open the file; raise UsageError if that can't be."""
        try:
            self._file = path.open("w", encoding="ascii")
        except OSError as err:
            raise UsageError(
                f"the events can't be written to {str(path)!r}",
                details=str(err),
                hint="name a file in a directory that exists and is yours with --events",
            ) from err
        super().__init__(self._file)
        self._path = path

    def close(self, results: RunResult) -> None:
        """Say so if not all could be written: the deploy went on without."""
        with suppress(OSError):  # the same trouble once more, for what is still buffered
            self._file.close()
        if self.problem:
            words = f"not all events are in {self._path}: {self.problem}"
            sys.stderr.write(f"containerdeploy: {words}\n")
