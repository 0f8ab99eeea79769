"""What a benchmark says of itself: one row of the table, one object of the JSON file."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.timing import Pairs


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure and its target; `value` None means that it could not be measured, `note` says why.

    `ours` and `theirs` are the samples behind a ratio, in seconds.
    """

    name: str
    unit: str = "ratio"
    value: float | None = None
    target: float | None = None
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.target is None:
            return ""
        return "met" if self.value <= self.target else "missed"


def ratio(name: str, measured: Pairs, target: float | None, note: str) -> Row:
    """Make a row of interleaved pairs."""
    return Row(
        name=name,
        value=measured.ratio,
        target=target,
        ours=measured.ours,
        theirs=measured.theirs,
        note=note,
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, in columns."""
    cells = [("what", "figure", "target", "", "medians, and what is compared")]
    cells += [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        "  ".join(
            [*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[4]]
        )
        for line in cells
    )


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows and the machine that they were measured on as JSON."""
    machine = os.uname()
    body = {
        "kernel": machine.release,
        "machine": machine.machine,
        "processors": len(os.sched_getaffinity(0)),
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    note = "; ".join(row.note.splitlines())
    if row.ours and row.theirs:
        medians = f"{statistics.median(row.ours):.3f} s / {statistics.median(row.theirs):.3f} s"
        note = f"{medians}: {note}"
    return (
        row.name,
        _figure(row.value, row.unit),
        _figure(row.target, row.unit),
        row.verdict,
        note,
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if unit == "ratio" else f"{value:.3g} {unit}"
