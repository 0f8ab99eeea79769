"""Privileges: which extensions ask for one, and whether the operator's policy allows it."""

from collections.abc import Iterator, Sequence

from containerdeploy.document import did_you_mean
from containerdeploy.errors import PlanError
from containerdeploy.extension import Extension
from containerdeploy.frozen import frozen
from containerdeploy.plan.options import Catalogue, Options
from containerdeploy.policy import GRANTS


@frozen
class Refused:
    """An extension that asks for what no policy allows; `why` says so, `origin` is who asks."""

    extension: Extension
    origin: str
    why: str


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


def told(refused: Sequence[Refused]) -> Iterator[str]:
    """Yield who asks for what no rule gives, and the lines of a policy that would allow it."""
    for one in refused:
        yield f"{one.extension.path} asks for loop devices ({one.origin}): {one.why}"
    if refused:
        yield from (
            "if you trust what you have read of them, this allows it:",
            "grants:",
            "  loop:",
        )
    for one in refused:
        yield f"    - sha256: {one.extension.sha256}  # {one.extension.path.name}"
