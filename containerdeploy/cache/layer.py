"""What the store records of a layer, and of the place that it was last made for.

layers/<id>/up           what the step changed: an overlay's upper directory
layers/<id>/info.json    a LayerInfo
layers/<id>/changes      lines of JSON, a list each: what StepFinished's changes count
places/<slot>.json       a PlaceInfo

The modification time of layers/<id> itself says when the layer was last used, as that of
bases/<name> does for a base.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from containerdeploy.cache import digests
from containerdeploy.frozen import NOTHING, as_mapping, frozen

INFO = "info.json"
CHANGES = "changes"
UPPER = "up"
MOST_BYTES = 16 << 20


@frozen
class LayerInfo:
    """What is known of a sealed layer; times are seconds since the epoch.

    `made_for` says in words whose step it was, `run` names the run that made it. `counts` are its
    changes by kind, `size_bytes` is what it takes of the disk, `content` the digest of all that is
    in it. `boot_id` and `synced` are as in a base's: until it is known to be on the disk it is good
    for the boot that wrote it. `bases` names those that it lies on, the topmost first.
    """

    id: str
    parent: str
    name: str
    made_for: str
    run: str
    recipe: str
    inputs: Mapping[str, str]
    boot_id: str
    written: float
    wall_s: float
    cpu_s: float = 0.0
    size_bytes: int = 0
    entries: int = 0
    counts: Mapping[str, int] = NOTHING
    content: str = ""
    synced: bool = False
    bases: Sequence[str] = ()


@frozen
class PlaceInfo:
    """The layer that a place (a step of a deployment) used last, and what its step depended on.

    `made_for` says in words what place that is.
    """

    id: str
    parent: str
    inputs: Mapping[str, str]
    used: float
    run: str = ""
    made_for: str = ""


def slot(*names: object) -> str:
    """Return the name of a place in the store: cluster, system, deployment, step's position …"""
    return digests.of("slot", *names)[:32]


def as_json(info: LayerInfo | PlaceInfo) -> bytes:
    return json.dumps(as_mapping(info), default=dict).encode("ascii")


def read_layer(directory: str) -> LayerInfo | str:
    """Return what is known of the layer in `directory`, or in words why it can't be used."""
    try:
        return LayerInfo(**_read(f"{directory}/{INFO}"))
    except FileNotFoundError:
        return f"it has no {INFO}"
    except (ValueError, TypeError):
        return f"its {INFO} is damaged"


def read_place(path: str) -> PlaceInfo | None:
    """Return what a place used last, None where nothing is known of it."""
    try:
        return PlaceInfo(**_read(path))
    except (OSError, ValueError, TypeError):
        return None


def _read(path: str) -> dict[str, Any]:
    with open(path, "rb") as stream:
        found = json.loads(stream.read(MOST_BYTES))
    if not isinstance(found, dict) or not isinstance(found.get("inputs"), dict):
        raise TypeError("no record")
    return found
