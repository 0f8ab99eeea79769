"""The values of this room to JSON and back; used for records, event files and `--json`.

A happening is one object: `happening` names it, `at` is its time (seconds since the epoch), the
rest are its fields; a helper's `event` is as on the wire. Text that is not UTF-8 is
there as lone surrogates (PEP 383), escaped: the JSON is pure ASCII.
"""

import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from containerdeploy import wire
from containerdeploy.frozen import as_mapping, defaults, is_frozen, is_frozen_kind, names
from containerdeploy.result import happenings
from containerdeploy.result.happenings import Happening


class CodecError(ValueError):
    """JSON that is not what was expected; the text says where."""


_HAPPENINGS: dict[str, Any] = {kind.__name__: kind for kind in typing.get_args(Happening)}
_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in typing.get_args(wire.Event)}


def to_json(value: Any) -> Any:
    """Return what json.dumps takes: frozen values as objects, paths as text, tuples as lists."""
    if is_frozen(value):
        return {name: to_json(item) for name, item in as_mapping(value).items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def happening_to_json(happening: Happening, at: float) -> dict[str, Any]:
    """Return a happening as one JSON object; `at` is seconds since the epoch."""
    body: dict[str, Any] = {"happening": type(happening).__name__, "at": round(at, 3)}
    if isinstance(happening, happenings.Heard):
        # Not wire.encode: an event from a short line may be long when all its fields are written.
        event = {"event": type(happening.event).__name__, **to_json(happening.event)}
        body |= {"system": happening.system, "event": event}
    else:
        body |= to_json(happening)
    return body


def happening_from_json(body: Any) -> Happening:
    """Read what happening_to_json wrote; raise CodecError."""
    happening: Happening
    kind = _named(_HAPPENINGS, body, "happening")
    if kind is happenings.Heard:
        event = body.get("event")
        heard = from_json(_named(_EVENTS, event, "event"), event, "Heard.event")
        system = from_json(str, body.get("system"), "Heard.system")
        happening = happenings.Heard(system=system, event=heard)
    else:
        happening = from_json(kind, body, kind.__name__)
    return happening


def from_json(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type hint wants it; raise CodecError. Unknown fields are left out.

    Fields that a later version added are no reason to refuse the rest of a record.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if is_frozen_kind(hint) and isinstance(value, dict):
        return _build(hint, value, where)
    if origin is Literal and value in args:
        return value
    if origin in (types.UnionType, typing.Union):
        return _first_that_fits(args, value, where)
    if origin is tuple and isinstance(value, list):
        return _build_tuple(args, value, where)
    if origin is Mapping and isinstance(value, dict):
        return {key: from_json(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is type(None) and value is None:
        return None
    return _plain(hint, value, where)


def _named(kinds: dict[str, Any], body: Any, key: str) -> Any:
    name = body.get(key) if isinstance(body, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise CodecError(f"no {key} is called {str(name)[:40]!r}")
    return kinds[name]


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise CodecError(f"{where} has the wrong type: {str(value)[:60]!r}")


def _first_that_fits(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    for hint in hints:
        try:
            return from_json(hint, value, where)
        except CodecError as err:
            problem = err
    raise problem


def _build_tuple(hints: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    if hints[1:] == (Ellipsis,):
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise CodecError(f"{where} has {len(value)} items")
    return tuple(from_json(hint, item, where) for hint, item in zip(hints, value, strict=True))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, body: dict[str, Any], where: str) -> Any:
    values = {}
    for name in names(kind):
        if name in body:
            values[name] = from_json(_hints(kind)[name], body[name], f"{where}.{name}")
        elif name not in defaults(kind):
            raise CodecError(f"{where} lacks {name!r}")
    return kind(**values)
