"""What the caller tells the record about a run before it starts; secrets are masked on the way.

Which parameters are secret was decided when the run was planned: nothing is guessed here.
"""

from collections.abc import Mapping
from typing import Any

from containerdeploy.frozen import NOTHING, frozen, replace
from containerdeploy.result.masking import MASK, Masking


@frozen
class RecordedParameter:
    """A value that an extension was given and where it came from."""

    name: str
    value: str
    origin: str
    secret: bool = False


@frozen
class DeploymentParameters:
    """All parameters of one deployment."""

    system: str
    deployment: str
    parameters: tuple[RecordedParameter, ...]


@frozen
class RunHeader:
    """What is known when a run starts.

    `engine`, `images` (by system) and `versions` are words for a reader; `plan` is whatever JSON
    the caller prints for a plan.
    """

    run: str
    verb: str
    cluster: str
    engine: Mapping[str, str] = NOTHING
    images: Mapping[str, str] = NOTHING
    versions: Mapping[str, str] = NOTHING
    plan: Mapping[str, Any] = NOTHING
    parameters: tuple[DeploymentParameters, ...] = ()


def secret_values(header: RunHeader) -> frozenset[str]:
    """Return the values that nobody may be told."""
    return frozenset(parameter.value for parameter in _secrets(header))


def masked(header: RunHeader) -> RunHeader:
    """Return the header without a secret's value."""
    names = frozenset(parameter.name for parameter in _secrets(header))
    masking = Masking(secret_values(header))
    parameters = tuple(
        replace(one, parameters=tuple(_mask_parameter(each, masking) for each in one.parameters))
        for one in header.parameters
    )
    plan = _mask_plan(header.plan, names, masking)
    return replace(header, parameters=parameters, plan=plan)


def _secrets(header: RunHeader) -> list[RecordedParameter]:
    return [one for deployment in header.parameters for one in deployment.parameters if one.secret]


def _mask_parameter(parameter: RecordedParameter, masking: Masking) -> RecordedParameter:
    """Mask a secret's value, in other parameters too: a YAML alias may have put it there."""
    return replace(parameter, value=MASK if parameter.secret else masking.text(parameter.value))


def _mask_plan(value: Any, names: frozenset[str], masking: Masking) -> Any:
    """Mask secrets wherever a plan has them: under their name, beside it, or in other words."""
    if isinstance(value, Mapping):
        return {
            str(key): MASK if _is_hidden(value, key, names) else _mask_plan(item, names, masking)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_mask_plan(item, names, masking) for item in value]
    return masking.text(value) if isinstance(value, str) else value


def _is_hidden(body: Mapping[Any, Any], key: Any, names: frozenset[str]) -> bool:
    if key == "value":
        return bool(body.get("secret")) or body.get("name", "") in names
    return isinstance(body[key], str) and key in names
