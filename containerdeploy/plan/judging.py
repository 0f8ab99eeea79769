"""Holds a finished plan against the policy: whatever got into it, by whichever way, is judged."""

from collections.abc import Iterator, Sequence

from containerdeploy import policy
from containerdeploy.plan.model import Plan, PlannedDeployment, PlannedStep


def refusals(plan: Plan) -> Iterator[str]:
    """Yield a line for everything in the plan that a rule refuses: who asks, for what, why not."""
    for why in policy.isolation(plan.policy, plan.isolation):
        yield f"--isolation: {plan.isolation}: {why}"
    for system in plan.systems:
        for one, is_subsystem in _every(system.deployments, is_subsystem=False):
            yield from _sources(plan, one)
            yield from _parameters(plan, one)
            for step in one.steps:
                yield from _step(plan, step)
                yield from _contract(plan, step, is_subsystem=is_subsystem)


def _every(
    deployments: Sequence[PlannedDeployment], *, is_subsystem: bool
) -> Iterator[tuple[PlannedDeployment, bool]]:
    for one in deployments:
        yield one, is_subsystem
        yield from _every(one.subsystems, is_subsystem=True)


def _sources(plan: Plan, one: PlannedDeployment) -> Iterator[str]:
    for source in one.sources:
        if source.path.name:  # one that is not there yet has none
            for why in policy.source(plan.policy, source.path, source.sha256):
                yield f"{source.at}: the source {source.path}: {why}"


def _parameters(plan: Plan, one: PlannedDeployment) -> Iterator[str]:
    is_granted = any(step.loop_devices for step in one.steps)
    for given in one.parameters:
        for why in policy.parameter(plan.policy, given.name, is_granted=is_granted):
            yield f"{given.origin}: the parameter {given.name} of {one.name}: {why}"


def _step(plan: Plan, step: PlannedStep) -> Iterator[str]:
    found = step.extension
    label = found.relative or f"{found.name}.{found.kind}"
    is_builtin = found.relative is None
    for why in policy.extension(plan.policy, found.path, found.sha256, is_builtin=is_builtin):
        yield f"{step.at}: the extension {label} (sha256:{found.sha256}): {why}"
    for why in policy.network(plan.policy, step.network):
        yield f"{step.at}: the network {step.network} of {label}: {why}"


def _contract(plan: Plan, step: PlannedStep, *, is_subsystem: bool) -> Iterator[str]:
    """Where contracts are required, one that can change a tree has to say what it writes."""
    found = step.extension
    is_writing = found.kind == "write" and (found.sidecar.tree == "writable" or is_subsystem)
    if found.sidecar.writes is not None or not (found.kind == "configure" or is_writing):
        return
    for file in plan.policy.files:
        if file.require_writes is not None:
            label = found.relative or found.name
            lack = f"{label} has no 'writes' in its sidecar"
            yield f"{step.at}: {lack}: {file.require_writes} requires it"
