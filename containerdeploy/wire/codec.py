"""Messages to lines and back; what is read is checked for bounds, kinds, fields and types."""

import json
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from containerdeploy.frozen import as_mapping, is_frozen, is_frozen_kind, names
from containerdeploy.wire.bounds import MAX_JOB, MAX_LINE, VERSION
from containerdeploy.wire.events import Event
from containerdeploy.wire.job import Job


class WireError(ValueError):
    """A line that is no message of this protocol; the text says what is wrong with it."""


_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in typing.get_args(Event)}


def encode(message: Event | Job) -> bytes:
    """Return the message as one line of ASCII JSON; raise WireError if it is too long."""
    body = {"event": type(message).__name__, **_plain(message)}
    if isinstance(message, Job):
        body = {"job": _plain(message)}
    line = json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"
    limit = MAX_JOB if isinstance(message, Job) else MAX_LINE
    if len(line) > limit:
        raise WireError(f"a {type(message).__name__} of {len(line)} bytes is over {limit}")
    return line


def decode(line: bytes) -> Event:
    """Read one event. Everything about it is checked: bound, JSON, kind, fields, types.

    Raises WireError; the text never holds more than a short excerpt of the line.
    """
    body = _parse(line, MAX_LINE)
    kind = body.pop("event", None)
    if not isinstance(kind, str) or kind not in _EVENTS:
        raise WireError(f"unknown kind of event: {str(kind)[:40]!r}")
    event: Event = _build(_EVENTS[kind], body, kind)
    return event


def decode_job(line: bytes) -> Job:
    """Read the Job line; raise WireError, also for a version that this agent doesn't speak."""
    body = _parse(line, MAX_JOB).get("job")
    if not isinstance(body, dict):
        raise WireError("the first line is no job")
    if body.get("version") != VERSION:
        raise WireError(f"the job speaks version {body.get('version')!r}, the agent {VERSION}")
    job: Job = _build(Job, body, "Job")
    return job


def _parse(line: bytes, limit: int) -> dict[str, Any]:
    if len(line) > limit:
        raise WireError(f"a line of more than {limit} bytes")
    try:
        body = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as err:
        raise WireError(f"no JSON line: {line[:60]!r}") from err
    if not isinstance(body, dict):
        raise WireError(f"no JSON object: {line[:60]!r}")
    return body


def _plain(value: Any) -> Any:
    """Values to mappings, tuples to lists."""
    if is_frozen(value):
        return {name: _plain(item) for name, item in as_mapping(value).items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, body: dict[str, Any], where: str) -> Any:
    for name in body:
        if name not in names(kind):
            raise WireError(f"{where} has no field {name[:40]!r}")
    hints = _hints(kind)
    values = {name: _convert(hints[name], item, f"{where}.{name}") for name, item in body.items()}
    try:
        return kind(**values)
    except TypeError as err:
        raise WireError(f"{where}: {str(err)[:200]}") from err


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type hint wants it, or raise WireError: nothing is coerced."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_frozen_kind(hint):
        if isinstance(value, dict):
            return _build(hint, value, where)
    elif origin is Literal:
        if isinstance(value, str) and value in args:
            return value
    elif origin is types.UnionType:
        return _convert_union(args, value, where)
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_convert(args[0], item, where) for item in value)
    elif origin is Mapping:
        if isinstance(value, dict):
            return {key: _convert(args[1], item, where) for key, item in value.items()}
    else:
        return _convert_plain(hint, value, where)
    raise WireError(f"{where} has the wrong type: {str(value)[:60]!r}")


def _convert_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    (wanted,) = [arg for arg in args if arg is not type(None)]
    return _convert(wanted, value, where)


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) in (int, float) and abs(value) < 1e15:
        return float(value)
    if hint is int and type(value) is int and abs(value) < 1 << 63:
        return value
    if hint in (str, bool) and type(value) is hint:
        return value
    raise WireError(f"{where} has the wrong type: {str(value)[:60]!r}")
