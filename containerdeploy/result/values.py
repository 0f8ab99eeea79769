"""What the caller tells the record about a run before it starts; secrets are masked on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MASK = "(secret)"
_TELLING = 6  # a shorter value ("yes") stands in many places without giving the secret away


@dataclass(frozen=True, kw_only=True)
class RecordedParameter:
    """A value that an extension was given and where it came from."""

    name: str
    value: str
    origin: str
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class DeploymentParameters:
    """All parameters of one deployment."""

    system: str
    deployment: str
    parameters: tuple[RecordedParameter, ...]


@dataclass(frozen=True, kw_only=True)
class RunHeader:
    """What is known when a run starts.

    `engine`, `images` (by system) and `versions` are words for a reader; `plan` is whatever JSON
    the caller prints for a plan.
    """

    run: str
    verb: str
    cluster: str
    engine: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[DeploymentParameters, ...] = ()


def masked(header: RunHeader) -> RunHeader:
    """Return the header without a secret: declared ones, and names that contain PASSWORD."""
    hidden = [
        parameter
        for deployment in header.parameters
        for parameter in deployment.parameters
        if _is_secret(parameter.name, parameter.secret)
    ]
    names = frozenset(parameter.name for parameter in hidden)
    values = frozenset(p.value for p in hidden if len(p.value) >= _TELLING)
    parameters = tuple(
        replace(deployment, parameters=tuple(map(_mask_parameter, deployment.parameters)))
        for deployment in header.parameters
    )
    return replace(header, parameters=parameters, plan=_mask_plan(header.plan, names, values))


def _mask_parameter(parameter: RecordedParameter) -> RecordedParameter:
    if not _is_secret(parameter.name, parameter.secret):
        return parameter
    return replace(parameter, value=MASK, secret=True)


def _is_secret(name: object, declared: object) -> bool:
    return bool(declared) or "PASSWORD" in str(name).upper()


def _mask_plan(value: Any, names: frozenset[str], values: frozenset[str]) -> Any:
    """Mask secrets wherever a plan has them: under their name, beside it, or alone."""
    if isinstance(value, Mapping):
        return {
            str(key): MASK if _is_hidden(value, key, names) else _mask_plan(item, names, values)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_mask_plan(item, names, values) for item in value]
    return MASK if isinstance(value, str) and value in values else value


def _is_hidden(body: Mapping[Any, Any], key: Any, names: frozenset[str]) -> bool:
    if key == "value":
        name = body.get("name", "")
        return name in names or _is_secret(name, body.get("secret"))
    return isinstance(body[key], str) and (key in names or _is_secret(key, False))
