"""Messages about what lies in the store, and what should be gone at a job's end."""

from typing import Literal

from containerdeploy.frozen import frozen

BaseState = Literal["sound", "recorded", "damaged"]
LeftKind = Literal["process", "mount", "descriptor", "control group", "workspace"]


@frozen
class Left:
    """Something of the agent's that should have been gone when it was done."""

    kind: LeftKind
    name: str


@frozen
class Damage:
    """What is wrong with a member of a base, or with the base itself (no path)."""

    path: str
    what: str


@frozen
class BaseVerified:
    """What a look at a base found; `recorded` means that its content was digested just now.

    `damaged` counts what is wrong, `damage` tells the first of it. A damaged base is dropped, but
    not while it is `in_use`.
    """

    base: str
    state: BaseState
    members: int = 0
    bytes: int = 0
    damage: tuple[Damage, ...] = ()
    damaged: int = 0
    in_use: bool = False
