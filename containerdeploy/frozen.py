"""Frozen, keyword-only values for all rooms: made without compiling any text.

A dataclass takes half a millisecond to define, for each of its methods is written as text and
compiled. A run defines a hundred values on the host and half of them once more in every helper,
which was a tenth of a warm deploy.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")
NOTHING: Mapping[Any, Any] = MappingProxyType({})  # a default for mappings


@dataclass_transform(kw_only_default=True, frozen_default=True)
def frozen(kind: type[T]) -> type[T]:
    """Make a class of annotated names a value: keyword arguments, equality, hash, repr.

    Defaults are shared by all instances, so they must not change. A value with mappings or lists
    in it has no hash. Raises TypeError for wrong arguments, AttributeError at an assignment.
    """
    names = tuple(kind.__annotations__)
    members: dict[str, Any] = {
        "__frozen_names__": names,
        "__frozen_defaults__": {name: vars(kind)[name] for name in names if name in vars(kind)},
        "__init__": _init,
        "__eq__": _eq,
        "__hash__": _hash,
        "__repr__": _repr,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
    }
    for name, member in members.items():
        setattr(kind, name, member)
    return kind


def is_frozen(value: object) -> bool:
    """Say whether this is one of these values."""
    return hasattr(type(value), "__frozen_names__")


def is_frozen_kind(kind: object) -> bool:
    """Say whether this is the class of such values."""
    return isinstance(kind, type) and hasattr(kind, "__frozen_names__")


def names(kind: Any) -> tuple[str, ...]:
    """Return the names of a value's fields, or of its class's, in order."""
    found: tuple[str, ...] = kind.__frozen_names__
    return found


def defaults(kind: Any) -> Mapping[str, Any]:
    """Return the fields that may be left out, and what they are then."""
    found: Mapping[str, Any] = kind.__frozen_defaults__
    return found


def as_mapping(value: Any) -> dict[str, Any]:
    """Return the fields by name, values in them as they are."""
    return {name: getattr(value, name) for name in names(value)}


def replace(value: T, /, **changes: Any) -> T:
    """Return a copy with some fields changed; raise TypeError for a field that there is not."""
    return type(value)(**{**as_mapping(value), **changes})


def _init(self: Any, **given: Any) -> None:
    values = {**self.__frozen_defaults__, **given}
    if values.keys() != set(self.__frozen_names__):
        _complain(self, values)
    self.__dict__.update(values)


def _complain(self: Any, values: Mapping[str, Any]) -> NoReturn:
    known = self.__frozen_names__
    strange = [name for name in values if name not in known]
    missing = [name for name in known if name not in values]
    what = f"no field {strange[0]!r}" if strange else f"the fields {', '.join(missing)} to be given"
    raise TypeError(f"{type(self).__qualname__} {'has' if strange else 'needs'} {what}")


def _eq(self: Any, other: object) -> bool:
    if type(self) is not type(other):
        return NotImplemented  # type: ignore[no-any-return]
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self.__dict__[name] for name in self.__frozen_names__)


def _repr(self: Any) -> str:
    inside = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self.__frozen_names__)
    return f"{type(self).__qualname__}({inside})"


def _refuse(self: Any, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__qualname__}.{name} can't be changed")
