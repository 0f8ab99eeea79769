"""What housekeeping took out of the store, when and why: one line of JSON each, the newest last.

evicted.jsonl   an Evicted each; bounded: the oldest go
"""

import json
from collections.abc import Mapping
from typing import Literal

from containerdeploy.frozen import as_mapping, frozen

EVICTED = "evicted.jsonl"
MOST_EVICTED_BYTES = 1 << 20
Kind = Literal["base", "layer"]


@frozen
class Evicted:
    """A base or a layer that is gone: `when` in seconds since the epoch, `why` in words.

    `id` is a layer's id or the name of a base in the store; `size_bytes` is what it took.
    """

    kind: Kind
    id: str
    when: float
    why: str
    size_bytes: int = 0


def as_line(item: Evicted) -> bytes:
    return json.dumps(as_mapping(item)).encode("ascii") + b"\n"


def read_evicted(store: str) -> Mapping[str, Evicted]:
    """Return what was taken out of the store in that directory, by id; the last time counts."""
    try:
        with open(f"{store}/{EVICTED}", "rb") as stream:
            lines = stream.read(2 * MOST_EVICTED_BYTES).splitlines()
    except OSError:
        return {}
    return {item.id: item for line in lines if (item := _read(line)) is not None}


def _read(line: bytes) -> Evicted | None:
    """Return what a line says; None for what is no record: a disk may have been full."""
    try:
        item = Evicted(**json.loads(line))
    except (ValueError, TypeError):
        return None
    is_whole = isinstance(item.id, str) and isinstance(item.why, str)
    return item if is_whole and isinstance(item.when, (int, float)) else None
