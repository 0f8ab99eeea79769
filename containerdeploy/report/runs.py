"""The list of runs, and one run's record, as text."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from containerdeploy import wire
from containerdeploy.report import text
from containerdeploy.report.narrator import mode
from containerdeploy.report.summary import count_line, failure, let_go, prefix
from containerdeploy.result import (
    DeploymentResult,
    Record,
    RunResult,
    RunState,
    RunSummary,
    StepResult,
    SystemResult,
)

_HEADINGS = ("RUN", "STARTED", "OUTCOME", "TOOK", "ENGINE", "VERB", "CLUSTER")
_FIRST_PATHS = 10
Changes = Mapping[tuple[str, str], Iterable[wire.Change]]


def runs_table(runs: Iterable[RunSummary]) -> list[str]:
    """Return the runs as a table, or one line where there are none."""
    rows = [_row(run) for run in runs]
    if not rows:
        return ["no run has been recorded yet"]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEADINGS, *rows)
    ]


def moment(seconds: float) -> str:
    """Return a time for people, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return "at no time"


def record_lines(
    record: Record, results: RunResult, state: RunState, *, changes: Changes, terminal: bool
) -> Iterator[str]:
    """Yield a run's record: how it went, then each deployment with all that belongs to it.

    `changes` has every changed path by (system, step id); without it the first few are shown.
    """
    yield from _head(record, results, state)
    origins = {(item.system, item.deployment): item.parameters for item in record.header.parameters}
    for system in results.systems:
        for deployment in system.deployments:
            yield ""
            yield f"{prefix(system, deployment)} {deployment.outcome}"
            for item in origins.get((system.name, deployment.name), ()):
                value = text.word(item.value)
                yield f"  {text.word(item.name)} = {value}  ({text.word(item.origin)})"
            yield from _steps(system, deployment, changes)
            yield from _artifacts(deployment)
            if deployment.outcome == "failed":
                yield from failure(results, system, deployment, terminal=terminal)
    yield ""
    yield count_line(results)


def _row(run: RunSummary) -> tuple[str, ...]:
    record = run.record
    if record is None:
        return (run.run, "", run.state, "", "", "", text.word(run.error))
    took = text.duration(max(0.0, record.ended - record.started)) if record.ended else ""
    header = record.header
    engine = header.engine.get("flavour") or next(iter(header.engine.values()), "")
    words = (engine, header.verb, header.cluster)
    return (run.run, moment(record.started), run.state, took, *map(text.word, words))


def _head(record: Record, results: RunResult, state: RunState) -> Iterator[str]:
    header = record.header
    yield f"run       {text.word(header.run)} ({state})"
    yield f"what      {text.word(header.verb)} {text.word(header.cluster)}"
    took = (
        f", took {text.duration(max(0.0, record.ended - record.started))}" if record.ended else ""
    )
    yield f"started   {moment(record.started)}{took}"
    if results.exit_code is not None:
        yield f"exit code {results.exit_code}"
    for name, values in (
        ("engine", header.engine),
        ("images", header.images),
        ("versions", header.versions),
    ):
        if values:
            told = ", ".join(f"{text.word(k)} {text.word(v)}" for k, v in values.items())
            yield f"{name:<9} {told}"
    for words in dict.fromkeys(mode(s.hello) for s in results.systems if s.hello):
        yield f"mode      {words}"
    yield from _audit(results)
    yield f"record    {text.word(results.record)}"
    for warning in dict.fromkeys((*record.warnings, *results.warnings)):
        yield f"warning   {text.word(warning)}"


def _audit(results: RunResult) -> Iterator[str]:
    """What was still there at the end, or what there was nothing of."""
    if results.looked_for and not results.leftovers:
        yield f"left      nothing (looked for {text.word(', '.join(results.looked_for))})"
    yield from (f"left      {text.word(words)}" for words in results.leftovers)
    yield from (f"left      {words}" for words in let_go(results))


def _steps(system: SystemResult, deployment: DeploymentResult, changes: Changes) -> Iterator[str]:
    for number, step in enumerate(deployment.steps, 1):
        yield f"  {number:02} {text.word(step.label):<30} {_ending(step)}"
        known = changes.get((system.name, step.id))
        for change in step.changed[:_FIRST_PATHS] if known is None else known:
            yield f"       {text.change(change)}"
        hidden = sum(step.changes.values()) - min(len(step.changed), _FIRST_PATHS)
        if known is None and hidden > 0:
            yield f"       and {hidden} more (--changes shows all)"
        yield from (f"       {words}" for words in _connections(step))


def _connections(step: StepResult) -> Iterator[str]:
    if step.traffic is None:
        return
    yield text.traffic(step.traffic)
    yield from (f"  {text.connection(one)}" for one in step.connections)
    hidden = step.traffic.connections + step.traffic.refused - len(step.connections)
    if hidden > 0:
        yield f"  and {hidden} more"


def _ending(step: StepResult) -> str:
    words = [step.outcome, text.duration(step.wall_s)]
    if step.cpu_s:
        words.append(f"CPU {text.duration(step.cpu_s)}")
    if step.peak_memory_bytes:
        words.append(f"memory {text.size(step.peak_memory_bytes)}")
    if step.cached:
        words.append("found in the store")
    if step.kind == "configure":
        words.append(text.counts(step.changes))
    return ", ".join(words)


def _artifacts(deployment: DeploymentResult) -> Iterator[str]:
    for artifact in deployment.artifacts:
        digest = f", sha256 {text.word(artifact.sha256)}" if artifact.sha256 else ""
        yield f"  -> {text.word(artifact.path)}, {text.size(artifact.size_bytes)}{digest}"
