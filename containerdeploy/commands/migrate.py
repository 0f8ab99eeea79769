"""migrate: writes old definitions' native form, and says what was found, guessed and amiss.

The JSON's keys are stable: keys may be added, none is renamed or removed while `format` is 1.

    format, cluster, native, files, troubles, parts: [{kind (cluster, system, extension), name,
    remarks: [{weight (found, guessed, trouble), at, text, advice}]}]
"""

import json
from collections.abc import Iterator
from pathlib import Path

from containerdeploy import migration, places, planning
from containerdeploy.document import shown
from containerdeploy.frozen import as_mapping
from containerdeploy.migration import Order, Part, Report
from containerdeploy.plan import Options

_FORMAT = 1


def run_migrate(
    cluster: Path,
    definitions: Path | None,
    *,
    artifacts: tuple[str, ...] = (),
    artifacts_dir: Path | None = None,
    output: Path | None = None,
    force: bool = False,
    as_json: bool = False,
    builtin: Path = planning.BUILTIN,
) -> str:
    """Migrate and return the report; raises DeployError where nothing was written."""
    order = Order(
        cluster=cluster,
        definitions=definitions,
        options=Options(artifacts=artifacts, artifacts_dir=artifacts_dir),
        output=output,
        force=force,
        cache=places.home() / "digests.json",
        builtin=builtin,
    )
    report = migration.migrate(order)
    return json.dumps(_to_json(report), indent=2) if as_json else "\n".join(_lines(report))


def _to_json(report: Report) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "cluster": str(report.cluster),
        "native": str(report.native),
        "files": [str(path) for path in report.files],
        "troubles": report.troubles,
        "parts": [
            {**as_mapping(part), "remarks": [as_mapping(one) for one in part.remarks]}
            for part in report.parts
        ],
    }


def _lines(report: Report) -> Iterator[str]:
    for part in report.parts:
        yield f"{part.kind} {part.name}"
        yield from (f"  {line}" for line in _remarks(part))
    yield ""
    yield from (f"wrote {shown(path)}" for path in report.files)
    if not report.files:
        yield "nothing had to be written: all of it is there already"
    where = "" if report.native.parent == report.cluster.parent else "laid over the definitions, "
    plans = f"{where}it plans as {shown(report.cluster)} does"
    yield f"the native cluster is {shown(report.native)}; {plans}"
    if report.troubles:
        count = report.troubles
        yield f"{count} remark{'' if count == 1 else 's'} marked ! may keep it from running"


def _remarks(part: Part) -> Iterator[str]:
    signs = {"found": " ", "guessed": "?", "trouble": "!"}
    for one in part.remarks:
        advice = f"; {one.advice}" if one.advice else ""
        yield f"{signs[one.weight]} {one.at}: {one.text}{advice}"
