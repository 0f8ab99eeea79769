"""Settings and sidecars to the parameters that extensions get, checked as declared."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set

from containerdeploy.definition.cluster import PLACES
from containerdeploy.errors import Problem
from containerdeploy.extension import Extension
from containerdeploy.plan.model import Parameter
from containerdeploy.plan.settings import Chosen, ResolvedDeployment
from containerdeploy.sidecar import Option

# What deploy itself sets for every extension; morph overrode them without a word.
RESERVED = frozenset(["UPGRADE", "TMPDIR", "MORPH_LOG_FD"])
_SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "PRIVATE")
_MAX_VARIABLE = 131_071  # MAX_ARG_STRLEN of execve(2), less the NUL
_USE_A_FILE = "put it into a file of the definitions and give the file's path"
_MAX_ENVIRONMENT = 1_500_000  # a quarter of the usual stack, which execve(2) grants, less a margin


def parameters(
    one: ResolvedDeployment, extensions: Sequence[Extension], secrets: Sequence[str]
) -> tuple[Parameter, ...]:
    """Return a deployment's parameters in order of name, sidecars' defaults included."""
    chosen = {name: value for name, value in one.settings.items() if is_parameter(name)}
    for extension in extensions:
        for option in extension.sidecar.options.values():
            if option.default is not None and option.name not in chosen:
                origin = f"sidecar default of {extension.name}.{extension.kind}"
                chosen[option.name] = Chosen(
                    text=option.default, origin=origin, at=one.deployment.at
                )
    return tuple(
        Parameter(
            name=name,
            value=value.text,
            origin=value.origin,
            secret=is_secret(name, extensions, secrets),
        )
        for name, value in sorted(chosen.items())
    )


def is_secret(name: str, extensions: Sequence[Extension], secrets: Sequence[str]) -> bool:
    """Decide, for every place where values are shown or kept, whether a parameter is a secret.

    It is one by its name, because the cluster lists it, or because a sidecar declares it.
    """
    options = (option for found in extensions for option in found.sidecar.options.values())
    is_declared = any(option.secret and option.covers(name) for option in options)
    return is_declared or name in secrets or any(word in name.upper() for word in _SECRET_WORDS)


def is_parameter(name: str) -> bool:
    """Say whether a setting is a parameter, not a place or one that deploy sets itself."""
    return name not in PLACES and name not in RESERVED


def reserved_warnings(one: ResolvedDeployment) -> Iterator[str]:
    """Say which settings have no effect."""
    for name in sorted(RESERVED & one.settings.keys()):
        yield f"{one.name}: {name} is set for every extension; the definitions' value is not used"


def option_problems(
    one: ResolvedDeployment, extensions: Sequence[Extension], secrets: Sequence[str]
) -> Iterator[Problem]:
    """Yield what the sidecars of a deployment's extensions find wrong with its settings."""
    for extension in extensions:
        label = f"{extension.name}.{extension.kind}"
        for option in extension.sidecar.options.values():
            covered = {name: one.settings[name] for name in one.settings if option.covers(name)}
            if option.required and not covered:
                yield _missing(one, option, label)
            hidden = {name for name in covered if is_secret(name, extensions, secrets)}
            yield from _mistyped(option, covered, hidden, label)


def size_problems(one: ResolvedDeployment) -> Iterator[Problem]:
    """Yield the settings that the kernel can't hand to a process."""
    total = 0
    for name, value in one.settings.items():
        size = len(os.fsencode(f"{name}={value.text}"))
        total += size
        if size > _MAX_VARIABLE:
            message = f"the value of {name!r} takes {size} bytes; no process can get more than"
            yield value.at.problem(f"{message} {_MAX_VARIABLE} in one variable", _USE_A_FILE)
    if total > _MAX_ENVIRONMENT:
        message = f"the parameters of {one.name!r} take {total} bytes together"
        yield one.deployment.at.problem(message, _USE_A_FILE)


def _missing(one: ResolvedDeployment, option: Option, label: str) -> Problem:
    shown = option.name.removesuffix("*") + ("…" if option.name.endswith("*") else "")
    told = f": {option.help}" if option.help else ""
    return one.deployment.at.problem(
        f"the extension {label} needs {option.name!r}{told}",
        f"write '{shown}: VALUE' below {one.name!r}, or give {one.name}.{shown}=VALUE",
    )


def _mistyped(
    option: Option, covered: Mapping[str, Chosen], hidden: Set[str], label: str
) -> Iterator[Problem]:
    for name, value in covered.items():
        if expected := option.fault(value.text):
            found = "another value" if name in hidden else repr(value.text)
            message = f"{name!r} has to be {expected} for the extension {label}; found {found}"
            yield value.at.problem(message + _told(value))


def _told(value: Chosen) -> str:
    return "" if value.origin == str(value.at) else f", from {value.origin}"
