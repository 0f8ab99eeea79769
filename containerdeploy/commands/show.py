"""Shows one run's record: what was asked, what each step did, its logs, what it left."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from containerdeploy.errors import UsageError
from containerdeploy.report import text
from containerdeploy.report.runs import record_lines
from containerdeploy.report.stream import LineStream
from containerdeploy.report.summary import prefix
from containerdeploy.result import (
    Record,
    RunResult,
    StepResult,
    find_run,
    is_live,
    load_record,
    read_changes,
    state_of,
    to_json,
)
from containerdeploy.wire import Change

_PIECE = 64 * 1024


def show(
    home: Path,
    run: str,
    out: TextIO,
    *,
    changes: bool = False,
    log: str | None = None,
    as_json: bool = False,
) -> int:
    """Write what is known of a run to `out` and return the exit code.

    `run` is an id, the start of one, or `last`; `log` names a step whose whole log is written
    instead. Raises UsageError for an unknown run or step, RecordError for a damaged record.
    """
    directory = find_run(home, run)
    record = load_record(directory)
    results = record.results or RunResult()
    stream = LineStream(out)
    if log is not None:
        _show_log(directory, results, log, stream)
        return 0
    every: dict[tuple[str, str], list[Change]] = {}
    if changes:
        for system, step, change in read_changes(directory):
            every.setdefault((system, step), []).append(change)
    state = state_of(record, live=is_live(directory))
    if as_json:
        stream.write_lines([_as_json(record, state, every, with_changes=changes)])
    else:
        lines = record_lines(record, results, state, changes=every, terminal=stream.is_terminal)
        stream.write_lines(lines)
    return 0


def _as_json(
    record: Record,
    state: str,
    every: dict[tuple[str, str], list[Change]],
    *,
    with_changes: bool,
) -> str:
    body = {"outcome": state, **to_json(record)}
    if with_changes:
        body["changes"] = [
            {"system": system, "step": step, "changes": to_json(changes)}
            for (system, step), changes in every.items()
        ]
    return json.dumps(body, indent=2)


def _show_log(directory: Path, results: RunResult, wanted: str, stream: LineStream) -> None:
    """Write the logs of all steps that are called so, each under a heading if there are several."""
    found = [
        (place, step)
        for place, step in _steps(results)
        if wanted in (step.id, step.name, step.label, step.kind)
    ]
    if not found:
        raise _unknown_step(results, wanted)
    for place, step in found:
        if len(found) > 1:
            stream.write_lines([f"==> {place} {text.word(step.label)}"])
        stream.write_lines(_log_lines(directory / step.log, terminal=stream.is_terminal))


def _steps(results: RunResult) -> Iterator[tuple[str, StepResult]]:
    for system in results.systems:
        for deployment in system.deployments:
            for step in deployment.steps:
                yield prefix(system, deployment), step


def _log_lines(path: Path, *, terminal: bool) -> Iterator[str]:
    """A step that said nothing has no log."""
    shown = text.for_terminal if terminal else text.for_file
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        while piece := file.readline(_PIECE):
            yield shown(piece.removesuffix("\n"))


def _unknown_step(results: RunResult, wanted: str) -> UsageError:
    known = sorted({step.label for _, step in _steps(results)})
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4) or known
    return UsageError(
        f"that run has no step {wanted!r}",
        details=f"its steps are: {', '.join(map(text.word, known))}"
        if known
        else "it has no steps",
        hint=f"did you mean {text.word(near[0])!r}?" if near else None,
    )
