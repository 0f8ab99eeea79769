"""The report for a terminal: a row with a bar for each running system, log lines above them."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Column

from containerdeploy import wire
from containerdeploy.report import text
from containerdeploy.report.narrator import Narrator, progress
from containerdeploy.report.summary import summarise
from containerdeploy.result import Happening, Heard, RunResult, SystemFinished, SystemStarted


class LiveReporter:
    """Rows that move while systems run; all that is said goes above them and stays.

    `close` gives the terminal back: call it however the run ended.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(
            file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._narrator = Narrator(terminal=True, clock=clock)
        self._rows = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[amount]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=8,
        )
        self._tasks: dict[str, TaskID] = {}
        self._is_open = False

    def show(self, happening: Happening) -> None:
        with suppress(OSError, ValueError):  # a terminal that went away must not stop a deploy
            self._update(happening)
            self._print(self._narrator.tell(happening))

    def close(self, results: RunResult) -> None:
        with suppress(OSError, ValueError):
            if self._is_open:
                self._rows.stop()
            self._print(summarise(results, terminal=True))

    def _print(self, lines: list[str]) -> None:
        if lines:
            self._console.print(_Lines("\n".join(lines)), end="")

    def _update(self, happening: Happening) -> None:
        match happening:
            case SystemStarted():
                self._begin(happening.system)
            case Heard():
                self._hear(happening.system, happening.event)
            case SystemFinished():
                if (task := self._tasks.pop(happening.system, None)) is not None:
                    self._rows.remove_task(task)
            case _:
                pass

    def _begin(self, system: str) -> None:
        if not self._is_open:
            self._is_open = True
            self._rows.start()
        if system not in self._tasks:
            row = f"[{text.word(system)}] starting"
            self._tasks[system] = self._rows.add_task(row, total=None, amount="")

    def _hear(self, system: str, event: wire.Event) -> None:
        task = self._tasks.get(system)
        if task is None:
            return
        match event:
            case wire.StepStarted():
                own = event.kind in ("base", "metadata")
                label = event.kind if own else f"{text.word(event.name)}.{event.kind}"
                row = f"[{text.word(system)}][{text.word(event.deployment)}] {label}"
                self._rows.reset(task, total=None, description=row, amount="")
            case wire.Progress():
                total = event.total or None
                self._rows.update(task, completed=event.done, total=total, amount=progress(event))
            case _:
                pass


class _Lines:
    """Text as it is: rich's own Text looks at every character, and floods are slow through it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(f"{self._text}\n")
