"""Lists the runs on record, newest first."""

import json
from pathlib import Path
from typing import Any, TextIO

from containerdeploy.report.runs import runs_table
from containerdeploy.report.stream import LineStream
from containerdeploy.result import RunSummary, list_runs


def runs(home: Path, out: TextIO, *, as_json: bool) -> int:
    """Write the list to `out` and return the exit code; `home` is where records are kept."""
    found = list(list_runs(home))
    if as_json:
        lines = [json.dumps([_as_json(run) for run in found], indent=2)]
    else:
        lines = runs_table(found)
    LineStream(out).write_lines(lines)
    return 0


def _as_json(run: RunSummary) -> dict[str, Any]:
    body: dict[str, Any] = {
        "run": run.run,
        "outcome": run.state,
        "live": run.state == "running",
        "record": str(run.directory),
    }
    if run.record is None:
        return body | {"error": run.error}
    header = run.record.header
    return body | {
        "verb": header.verb,
        "cluster": header.cluster,
        "engine": dict(header.engine),
        "started": run.record.started,
        "ended": run.record.ended,
        "exit_code": run.record.results.exit_code if run.record.results else None,
    }
