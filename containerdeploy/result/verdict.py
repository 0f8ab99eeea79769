"""Decides what became of each deployment, from its steps and from how its system ended; pure."""

from containerdeploy import wire
from containerdeploy.frozen import frozen
from containerdeploy.result.happenings import SystemFinished
from containerdeploy.result.outcomes import (
    ArtifactResult,
    DeploymentOutcome,
    DeploymentResult,
    StepResult,
    SystemResult,
)

_STOPPED = ("ok", "skipped", "killed", "unfinished")


@frozen
class DeploymentFacts:
    """What was seen of a deployment.

    `announced` counts artifacts that the helper spoke of; `is_left` says that the helper went on to
    something else, so that nothing more of this deployment could have come.
    """

    name: str
    is_subsystem: bool
    parent: str
    steps: tuple[StepResult, ...]
    artifacts: tuple[ArtifactResult, ...]
    announced: int
    is_left: bool

    @property
    def is_done(self) -> bool:
        written = any(step.kind == "write" and step.outcome == "ok" for step in self.steps)
        is_whole = len(self.artifacts) >= self.announced and (bool(self.artifacts) or self.is_left)
        return written and is_whole and not self.has_failed

    @property
    def has_failed(self) -> bool:
        return any(not s.is_good and s.outcome != "unfinished" for s in self.steps)


@frozen
class SystemFacts:
    """What was seen of a system; `last` is the deployment that the helper came to last."""

    name: str
    image: str
    hello: wire.Hello | None
    is_started: bool
    end: SystemFinished | None
    last: str
    deployments: tuple[DeploymentFacts, ...]


def judge(facts: SystemFacts) -> SystemResult:
    """Return the system with an outcome for each deployment.

    Without a SystemFinished the run was cut off: what had begun is interrupted.
    """
    end = facts.end or SystemFinished(
        system=facts.name, outcome="interrupted" if facts.is_started else "not started"
    )
    blamed = _blamed(facts, end)
    return SystemResult(
        name=facts.name,
        outcome=_system_outcome(end),
        image=facts.image,
        hello=facts.hello,
        deployments=tuple(_judge(item, facts, end, blamed) for item in facts.deployments),
        brief=end.brief,
        details=end.details,
        hint=end.hint,
    )


def _system_outcome(end: SystemFinished) -> DeploymentOutcome:
    known: tuple[DeploymentOutcome, ...] = ("deployed", "interrupted", "not started")
    return next((outcome for outcome in known if outcome == end.outcome), "failed")


def _blamed(facts: SystemFacts, end: SystemFinished) -> frozenset[str]:
    """The deployments that a failure is about; if no step failed, somebody is named all the same.

    A subsystem's failure is its parent's too.
    """
    failed = {item.name for item in facts.deployments if item.has_failed}
    parents = {item.name: item.parent for item in facts.deployments if item.is_subsystem}
    for _ in parents:
        failed |= {parents[name] for name in failed if name in parents}
    if failed or _system_outcome(end) != "failed":
        return frozenset(failed)
    undone = [item.name for item in facts.deployments if not (item.is_subsystem or item.is_done)]
    if facts.hello is None:
        return frozenset(undone)
    return frozenset([facts.last] if facts.last in undone else undone[:1])


def _judge(
    item: DeploymentFacts, facts: SystemFacts, end: SystemFinished, blamed: frozenset[str]
) -> DeploymentResult:
    outcome = _outcome(item, end, item.name in blamed)
    error, details, hint = "", "", ""
    if outcome == "failed":
        error = _error(item, facts, end)
        if end.brief in error or error in end.brief or len(blamed) == 1:
            details, hint = end.details, end.hint
    return DeploymentResult(
        name=item.name,
        outcome=outcome,
        steps=item.steps,
        artifacts=item.artifacts,
        error=error,
        details=details,
        hint=hint,
        is_subsystem=item.is_subsystem,
    )


def _error(item: DeploymentFacts, facts: SystemFacts, end: SystemFinished) -> str:
    """Say what went wrong: with a step of its own, with a subsystem's, or with the helper."""
    step = next((step for step in item.steps if not step.is_good), None)
    if step and step.outcome == "unfinished":
        return f"{step.label} was cut off: {end.brief or 'the run ended'}"
    if step:
        return _step_error(step)
    for child in facts.deployments:
        if child.parent == item.name and (error := _error_inside(child, facts)):
            return f"its subsystem {error}"
    return end.brief


def _error_inside(item: DeploymentFacts, facts: SystemFacts) -> str:
    """Name the subsystem, at any depth, that went wrong, and how; nothing if none did."""
    for step in item.steps:
        if not step.is_good and step.outcome != "unfinished":
            return f"{item.name} failed: {_step_error(step)}"
    children = (child for child in facts.deployments if child.parent == item.name)
    return next(filter(None, (_error_inside(child, facts) for child in children)), "")


def _step_error(step: StepResult) -> str:
    return f"{step.label} {step.outcome}" + (f": {step.detail}" if step.detail else "")


def _outcome(item: DeploymentFacts, end: SystemFinished, is_blamed: bool) -> DeploymentOutcome:
    how = _system_outcome(end)
    if is_blamed:
        was_stopped = how == "interrupted" and all(s.outcome in _STOPPED for s in item.steps)
        return "interrupted" if was_stopped else "failed"
    if how == "deployed" or item.is_done:
        return "deployed"
    if how == "interrupted":
        return "interrupted" if item.steps else "not started"
    return "not started" if how == "not started" else "skipped"
