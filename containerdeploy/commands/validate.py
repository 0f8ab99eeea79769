"""validate: checks a cluster and everything that it names, and says what is wrong."""

from pathlib import Path

from containerdeploy import planning
from containerdeploy.plan import Options


def run_validate(
    cluster: Path, definitions: Path | None, options: Options, builtin: Path = planning.BUILTIN
) -> str:
    """Return what was found good, with warnings; raise DefinitionError with all that is not."""
    plan, notes = planning.validate(cluster, definitions, options, builtin)
    systems = len(plan.systems)
    deployments = sum(len(system.deployments) for system in plan.systems)
    good = f"{plan.cluster}: {_count(deployments, 'deployment')} of {_count(systems, 'system')}"
    lines = [f"{good}, no problems"]
    lines += [f"warning: {warning}" for warning in plan.warnings]
    lines += [f"note: {note}" for note in notes]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
