"""Reports of lines, good for files and CI: `plain` tells all, `quiet` only the end."""

from typing import TextIO

from containerdeploy.report.narrator import Narrator
from containerdeploy.report.stream import LineStream
from containerdeploy.report.summary import summarise
from containerdeploy.result import Happening, RunResult


class PlainReporter:
    """One line for each thing that happens, then the summary."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = LineStream(stream)
        self._narrator = Narrator(terminal=self._stream.is_terminal)

    def show(self, happening: Happening) -> None:
        self._stream.write_lines(self._narrator.tell(happening))

    def close(self, results: RunResult) -> None:
        self._stream.write_lines(summarise(results, terminal=self._stream.is_terminal))


class QuietReporter:
    """Nothing until the end; then results and errors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = LineStream(stream)

    def show(self, happening: Happening) -> None:
        """Say nothing."""

    def close(self, results: RunResult) -> None:
        lines = summarise(results, terminal=self._stream.is_terminal, brief=True)
        self._stream.write_lines(lines)
