"""The end of a report: what was deployed and changed, what failed and what to try."""

from collections.abc import Iterator, Sequence

from containerdeploy import wire
from containerdeploy.report import text
from containerdeploy.report.advice import advise
from containerdeploy.report.narrator import mode
from containerdeploy.result import DeploymentResult, RunResult, StepResult, SystemResult

_PATHS = 3
_STREAMS = ("stdout", "stderr", "log", "agent")


def summarise(results: RunResult, *, terminal: bool, brief: bool = False) -> list[str]:
    """Return the summary's lines; `brief` leaves out what each step changed and the mode."""
    if not results.systems:
        return [*_warnings(results)]
    lines = [""]
    for system in results.systems:
        for deployment in system.deployments:
            lines += _deployment(system, deployment, brief=brief)
    for system in results.systems:
        lines += _failures(results, system, terminal=terminal)
    lines += ["", *([] if brief else _modes(results)), *_warnings(results), count_line(results)]
    return lines[1:] if brief else lines


def count_line(results: RunResult) -> str:
    """Return `2 deployed, 1 failed, 0 not started`, and the run's time and name."""
    told = [f"{results.count('deployed')} deployed", f"{results.count('failed')} failed"]
    for outcome in ("interrupted", "skipped"):
        if count := results.count(outcome):
            told.append(f"{count} {outcome}")
    told.append(f"{results.count('not started')} not started")
    took = ""
    if results.ended is not None:
        took = f" in {text.duration(max(0.0, results.ended - results.started))}"
    run = f" (run {text.word(results.run)})" if results.run else ""
    return ", ".join(told) + took + run


def prefix(system: SystemResult, deployment: DeploymentResult) -> str:
    return f"[{text.word(system.name)}][{text.word(deployment.name)}]"


def changes_line(step: StepResult, width: int = 0) -> str:
    """Return what an extension changed: `set-hostname  1 modified: /etc/hostname`."""
    paths = [text.word(text.tree_path(item.path)) for item in step.changed[:_PATHS]]
    total = sum(step.changes.values())
    more = f" and {total - len(paths)} more" if total > len(paths) else ""
    listed = f": {', '.join(paths)}{more}" if paths else ""
    return f"{text.word(step.name):<{width}}  {text.counts(step.changes)}{listed}"


def let_go(results: RunResult) -> Iterator[str]:
    """Say, for each helper that did not clean up after itself, what it left to others."""
    for system in results.systems:
        if system.left:
            things = text.word(", ".join(f"{one.kind} {one.name}" for one in system.left))
            yield f"the helper of {text.word(system.name)} had not let go of {things}"


def failure(
    results: RunResult, system: SystemResult, deployment: DeploymentResult, *, terminal: bool
) -> list[str]:
    """Return the report of a failure: which step, its last words, its log, what to try."""
    place = prefix(system, deployment)
    lines = ["", f"{place} FAILED: {text.word(deployment.error or 'nobody knows why')}"]
    if deployment.details and deployment.details != deployment.error:
        lines += _indent(deployment.details, terminal=terminal, depth=2)
    if step := deployment.failed_step:
        lines += _last_words(results, step, terminal=terminal)
    lines += [f"  try: {text.word(hint)}" for hint in advise(deployment)]
    return lines


def _deployment(
    system: SystemResult, deployment: DeploymentResult, *, brief: bool
) -> Iterator[str]:
    took = f" in {text.duration(deployment.wall_s)}" if deployment.steps else ""
    inside = " (a subsystem)" if deployment.is_subsystem else ""
    yield f"{prefix(system, deployment)} {deployment.outcome}{took}{inside}"
    for artifact in deployment.artifacts:
        digest = f", sha256 {text.word(artifact.sha256)[:12]}" if artifact.sha256 else ""
        yield f"  {text.word(artifact.path)}  {text.size(artifact.size_bytes)}{digest}"
    if not brief:
        configured = [step for step in deployment.steps if _is_worth_telling(step)]
        width = max((len(text.word(step.name)) for step in configured), default=0)
        yield from (f"  {changes_line(step, width)}" for step in configured)
        for step in deployment.steps:
            if step.traffic is not None:
                yield f"  {text.word(step.label)}: {text.traffic(step.traffic)}"


def _is_worth_telling(step: StepResult) -> bool:
    return step.kind == "configure" and step.outcome == "ok"


def _failures(results: RunResult, system: SystemResult, *, terminal: bool) -> Iterator[str]:
    failed = [item for item in system.deployments if item.outcome == "failed"]
    for deployment in failed:
        yield from failure(results, system, deployment, terminal=terminal)
    told = {words for item in failed for words in (item.error, item.details)}
    if system.brief and system.brief not in told and not any(s.failed_step for s in failed):
        yield ""
        yield f"[{text.word(system.name)}] {text.word(system.brief)}"
        yield from _indent(system.details, terminal=terminal, depth=2)
        if system.hint:
            yield f"  try: {text.word(system.hint)}"


def _last_words(results: RunResult, step: StepResult, *, terminal: bool) -> Iterator[str]:
    """The ends of both streams: existing extensions print their errors on stdout."""
    is_own = step.kind in ("base", "metadata")
    for stream in _STREAMS:
        tail = step.tails.get(stream, "")
        name = {"log": "its log", "agent": "the agent"}.get(stream, stream)
        if tail:
            yield f"  {name}, last lines:"
            yield from _indent(tail, terminal=terminal, depth=4)
        elif stream in ("stdout", "stderr") and not is_own:
            yield f"  {name}: nothing"
    log = results.record / step.log
    if any(step.tails.values()) and log.is_file():
        yield f"  whole log: {text.word(log)}"


def _indent(words: str, *, terminal: bool, depth: int) -> Iterator[str]:
    shown = text.for_terminal if terminal else text.for_file
    if words:
        yield from (" " * depth + shown(line) for line in words.split("\n"))


def _modes(results: RunResult) -> Iterator[str]:
    """Which engine and protections were in use; one line for all systems that had the same."""
    hellos: Sequence[wire.Hello] = [s.hello for s in results.systems if s.hello]
    for words in dict.fromkeys(map(mode, hellos)):
        yield f"engine {text.word(results.engine)}, {words}"


def _warnings(results: RunResult) -> Iterator[str]:
    for warning in results.warnings:
        yield f"warning: {text.word(warning)}"
    for words in let_go(results):
        yield f"warning: {words}"
    for leftover in results.leftovers:
        yield f"warning: left behind: {text.word(leftover)} (containerdeploy cleanup removes it)"
