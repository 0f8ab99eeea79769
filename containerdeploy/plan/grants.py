"""Privileges: which extensions ask for one, and whether the operator's policy allows it."""

from collections.abc import Iterable, Sequence

from containerdeploy.document import did_you_mean
from containerdeploy.errors import PlanError
from containerdeploy.extension import Extension
from containerdeploy.frozen import frozen
from containerdeploy.plan.options import Catalogue, Options
from containerdeploy.policy import GRANTS, Policy


@frozen
class Refused:
    """An extension that asks for what the policy doesn't allow; `origin` says where it asks."""

    extension: Extension
    origin: str


def asked_for(options: Options, catalogue: Catalogue) -> frozenset[str]:
    """Return the extensions, as the definitions call them, that --grant names.

    Raises PlanError for words that are not NAME=loop with a name that is used.
    """
    used = {name for name, kind in catalogue.extensions if kind != "check"}
    names = set()
    for word in options.grants:
        name, _, grant = word.rpartition("=")
        if not name or grant not in GRANTS:
            raise PlanError(f"--grant {word!r} is not NAME={'|'.join(GRANTS)}")
        if name not in used:
            hint = did_you_mean(name, used) or f"these are used: {', '.join(sorted(used))}"
            raise PlanError(f"--grant {word!r}: no extension {name!r} is used", hint=hint)
        names.add(name)
    return frozenset(names)


def origin(found: Extension, name: str, asked: frozenset[str]) -> str:
    """Return who asks for loop devices on an extension's behalf, nothing where nobody does."""
    if "loop" in found.sidecar.grants:
        return f"{found.path.name}.yaml"
    return f"--grant {name}=loop" if name in asked and found.kind != "check" else ""


def refuse(refused: Sequence[Refused], policy: Policy) -> None:
    """Raise one PlanError for all that is refused, with the lines that would allow it."""
    if not refused:
        return
    asking = [f"{one.extension.path} asks for loop devices ({one.origin})" for one in refused]
    lines = [
        f"    - sha256: {one.extension.sha256}  # {one.extension.path.name}" for one in refused
    ]
    raise PlanError(
        f"the policy {policy.path} does not allow what extensions ask for",
        details="\n".join([*_each(asking), "to allow it:", "grants:", "  loop:", *_each(lines)]),
        hint=f"read the extensions; if you trust them with it, add these lines to {policy.path}",
    )


def _each(lines: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(lines)
