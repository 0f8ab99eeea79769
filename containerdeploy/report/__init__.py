"""Shows a run while it happens and sums it up: plain, live (rich), JSON lines, quiet. Looks only.

text.py       words: text that can't act on a terminal, sizes, times
narrator.py   happenings to lines
summary.py    results to the summary and the error reports
advice.py     what to try after a failure
stream.py     lines to a stream that may go away
plain.py, live.py, jsonlines.py   the reporters
runs.py       the list of runs and one run's record, as text
"""

import os
from collections.abc import Sequence
from typing import Literal, Protocol, TextIO

from containerdeploy.report.jsonlines import EventsFile as EventsFile
from containerdeploy.report.jsonlines import JsonReporter
from containerdeploy.report.plain import PlainReporter, QuietReporter
from containerdeploy.report.stream import LineStream
from containerdeploy.result import Happening, RunResult

ProgressKind = Literal["auto", "rich", "plain", "json", "quiet"]


class Reporter(Protocol):
    """Gets everything that happens, in order, then the results; neither call may fail the run."""

    def show(self, happening: Happening) -> None: ...

    def close(self, results: RunResult) -> None:
        """Sum up, and give back what was taken (a terminal, a file); called once, at the end."""
        ...


class Several:
    """Gives everything to several reporters."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def show(self, happening: Happening) -> None:
        for reporter in self._reporters:
            reporter.show(happening)

    def close(self, results: RunResult) -> None:
        for reporter in self._reporters:
            reporter.close(results)


def choose(progress: ProgressKind, stream: TextIO) -> Reporter:
    """Return the reporter that was asked for; rich needs a terminal that can move its cursor."""
    match progress:
        case "json":
            return JsonReporter(stream)
        case "quiet":
            return QuietReporter(stream)
        case "auto" | "rich" if _can_move(stream):
            # Imported only when used: it costs as much as the rest of the program.
            from containerdeploy.report.live import LiveReporter

            return LiveReporter(stream)
        case _:
            return PlainReporter(stream)


def _can_move(stream: TextIO) -> bool:
    is_dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")
    return LineStream(stream).is_terminal and not is_dumb
