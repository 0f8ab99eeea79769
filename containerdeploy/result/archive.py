"""Finds and reads the records of earlier runs, also of runs that were killed or still go on."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from containerdeploy import wire
from containerdeploy.errors import DeployError, UsageError
from containerdeploy.frozen import frozen
from containerdeploy.result.codec import CodecError, from_json, happening_from_json
from containerdeploy.result.happenings import Happening, Heard
from containerdeploy.result.ledger import Ledger
from containerdeploy.result.lock import is_live
from containerdeploy.result.names import RUN_ID
from containerdeploy.result.outcomes import RunResult
from containerdeploy.result.values import RunHeader

_MAX_EVENT = 1 << 20
_NEAR = 5
RunState = Literal["running", "deployed", "failed", "interrupted", "died", "unreadable"]


class RecordError(DeployError):
    """A record that can't be read."""


@frozen
class Record:
    """A run as recorded. `results` is None only in the file of a run that has not ended."""

    format: int
    header: RunHeader
    started: float
    ended: float | None = None
    results: RunResult | None = None
    warnings: tuple[str, ...] = ()


@frozen
class RunSummary:
    """One line of the list of runs; a record that can't be read has its problem in `error`."""

    run: str
    state: RunState
    directory: Path
    record: Record | None = None
    error: str = ""


def list_runs(home: Path) -> Iterator[RunSummary]:
    """Yield the runs, newest first."""
    for directory in reversed(_directories(home)):
        yield _summarise(directory)


def find_run(home: Path, text: str) -> Path:
    """Return the record directory that `text` means: a run id, the start of one, or `last`.

    Raises UsageError for none or for several.
    """
    known = _directories(home)
    if text == "last" and known:
        return known[-1]
    exact = [path for path in known if path.name == text]
    found = exact or [path for path in known if text and path.name.startswith(text)]
    if len(found) == 1:
        return found[0]
    names = [path.name for path in found or known]
    if found:
        brief, near = f"{text!r} means {len(found)} runs", names[::-1][:_NEAR]
    else:
        brief = f"there is no run {text!r}"
        near = difflib.get_close_matches(text, names, n=_NEAR) or names[::-1][:_NEAR]
    raise UsageError(
        brief,
        details=f"looked in {home / 'runs'}" + (f"; near: {', '.join(near)}" if near else ""),
        hint="containerdeploy runs lists them" if names else "no run has been recorded yet",
    )


def load_record(directory: Path) -> Record:
    """Read a record; what a run that has not ended came to is read off its events.

    Raises RecordError.
    """
    record = _read_record(directory)
    if record.results is not None:
        return record
    ledger = Ledger()
    for happening in read_events(directory):
        ledger.take(happening)
    return Record(
        format=record.format,
        header=record.header,
        started=record.started,
        ended=record.ended,
        results=ledger.results(),
        warnings=record.warnings,
    )


def read_events(directory: Path) -> Iterator[Happening]:
    """Yield what happened, up to the end or to where a run was killed; raise RecordError."""
    path = directory / "events.jsonl"
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_EVENT):
                number += 1
                if line.endswith(b"\n"):
                    yield _parse_event(line, f"{path}:{number}")
                elif len(line) == _MAX_EVENT:
                    raise _unreadable(f"{path}:{number}", "a line without an end")
    except OSError as err:
        raise _unreadable(str(path), str(err)) from err


def read_changes(directory: Path) -> Iterator[tuple[str, str, wire.Change]]:
    """Yield every changed path as (system, step id, change), in order; raise RecordError."""
    for happening in read_events(directory):
        if isinstance(happening, Heard) and isinstance(happening.event, wire.Changed):
            for change in happening.event.changes:
                yield happening.system, happening.event.step, change


def state_of(record: Record, *, live: bool) -> RunState:
    """Return how a run went, in one word; `died` is a run that ended without a word."""
    if record.results is None or record.results.exit_code is None:
        if record.ended is None:
            return "running" if live else "died"
        return "interrupted"
    if record.results.exit_code == 0:
        return "deployed"
    return "interrupted" if record.results.exit_code == 130 else "failed"


def _directories(home: Path) -> list[Path]:
    try:
        return sorted(path for path in (home / "runs").iterdir() if RUN_ID.fullmatch(path.name))
    except OSError:
        return []


def _summarise(directory: Path) -> RunSummary:
    try:
        record = _read_record(directory)
    except RecordError as err:
        error = f"{err.brief}: {err.details}"
        return RunSummary(run=directory.name, state="unreadable", directory=directory, error=error)
    state = state_of(record, live=is_live(directory))
    return RunSummary(run=directory.name, state=state, directory=directory, record=record)


def _read_record(directory: Path) -> Record:
    path = directory / "record.json"
    try:
        record: Record = from_json(Record, json.loads(path.read_bytes()), "record")
    except (OSError, ValueError, RecursionError) as err:
        raise _unreadable(str(path), str(err)) from err
    return record


def _parse_event(line: bytes, where: str) -> Happening:
    try:
        return happening_from_json(json.loads(line))
    except (CodecError, ValueError, RecursionError) as err:
        raise _unreadable(where, str(err)) from err


def _unreadable(where: str, why: str) -> RecordError:
    return RecordError(
        f"the record {where} can't be read",
        details=why[:300],
        hint="the file is damaged or was written by another version; its logs are plain files",
    )
