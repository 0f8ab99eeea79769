"""A step's limits: the command line, then the system file, the sidecar, the policy's default.

Above the policy's most nothing may be asked for; what nobody asked for is cut down to it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from containerdeploy import policy, wire
from containerdeploy.definition import ExtensionUse
from containerdeploy.extension import Extension
from containerdeploy.frozen import frozen
from containerdeploy.plan.options import Options
from containerdeploy.policy import LIMITS, LimitName, Policy

FIELDS: Mapping[LimitName, str] = {
    "timeout": "timeout_s",
    "idle-timeout": "idle_timeout_s",
    "memory": "memory_bytes",
    "pids": "pids",
    "max-output": "max_output_bytes",
    "cpu": "cpus",
    "disk": "disk_bytes",
}


@frozen
class Asked:
    """A limit that somebody asked for, and who."""

    value: float
    origin: str


@frozen
class Settled:
    """The limits as a planned step's fields, who set each, and what the policy refuses of them."""

    values: Mapping[str, Any]
    origins: Mapping[LimitName, str]
    refused: tuple[str, ...]


def settle(options: Options, use: ExtensionUse | None, found: Extension, rules: Policy) -> Settled:
    """Decide every limit of a step; `use` is what the system file says of it."""
    values: dict[str, float | None] = {}
    origins: dict[LimitName, str] = {}
    refused = []
    for name in LIMITS:
        asked = next(_asked(name, options, use, found), None)
        if asked is None:
            asked = _unasked(name, rules)
        else:
            refused += [
                f"{asked.origin}: the {name} {asked.value:g} of {found.path.name}: {why}"
                for why in policy.limit(rules, name, asked.value)
            ]
        values[FIELDS[name]] = asked.value if asked else None
        if asked:
            origins[name] = asked.origin
    return Settled(values=values, origins=origins, refused=tuple(refused))


def _asked(
    name: LimitName, options: Options, use: ExtensionUse | None, found: Extension
) -> Iterator[Asked]:
    field = FIELDS[name]
    if name == "timeout" and options.timeout_s is not None:
        yield Asked(value=options.timeout_s, origin="--timeout")
    if use is not None and (own := getattr(use, field)) is not None:
        yield Asked(value=own, origin=str(use.at))
    if (said := getattr(found.sidecar, field)) is not None:
        yield Asked(value=said, origin=f"{found.path.name}.yaml")


def _unasked(name: LimitName, rules: Policy) -> Asked | None:
    """Return the policy's default, or its most where the usual limit is above that."""
    default, most = rules.default(name), rules.most(name)
    if default is not None and (most is None or default[0] <= most[0]):
        return Asked(value=default[0], origin=str(default[1]))
    usual = getattr(wire.Limits(), FIELDS[name])
    if most is not None and (default is not None or usual is None or usual > most[0]):
        return Asked(value=most[0], origin=str(most[1]))
    return None
