"""The kinds of Event: what an agent tells."""

from collections.abc import Mapping
from typing import Literal

from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.wire.traffic import Connection, Traffic
from containerdeploy.wire.upkeep import BaseVerified, Left
from containerdeploy.wire.words import (
    ChangeKind,
    Mode,
    Outcome,
    StepKind,
)


@frozen
class Change:
    """One path that a step changed, relative to the tree; sizes in bytes or None."""

    kind: ChangeKind
    path: str
    size_before: int | None = None
    size_after: int | None = None
    detail: str = ""


@frozen
class Hello:
    """First event: who speaks, on what kernel, and which protections are in use."""

    run: str
    version: int
    python: str
    kernel: str
    isolation: Mode
    limits: Literal["cgroup-v1", "cgroup-v2", "rlimits"]
    nonce: str = ""
    weaker: tuple[str, ...] = ()
    facts: Mapping[str, str] = NOTHING


@frozen
class StepStarted:
    deployment: str
    step: str
    kind: StepKind
    name: str


@frozen
class Progress:
    """How far a step is; `total` is 0 where nobody knows."""

    step: str
    done: int
    total: int
    unit: Literal["bytes", "members"]


@frozen
class Log:
    """A piece of what a step said; `partial` means that its line goes on in the next piece."""

    step: str
    stream: Literal["stdout", "stderr", "log", "agent"]
    text: str
    partial: bool = False


@frozen
class Changed:
    """Some of the paths that a step changed; several of these may precede one StepFinished."""

    step: str
    changes: tuple[Change, ...]


@frozen
class StepFinished:
    """How a step ended. Seconds and bytes; `changes` counts paths by kind of change.

    `detail` is one line of evidence (an exit code, a signal, what the limit was); `cached` says
    that the work had been done before and was found in the store. `traffic` is for steps with a
    listed network.
    """

    step: str
    outcome: Outcome
    detail: str = ""
    exit_code: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    changes: Mapping[str, int] = NOTHING
    cached: bool = False
    traffic: Traffic | None = None


@frozen
class Artifact:
    """What a write extension left: one regular file (with digest) or one directory (without).

    A `stream` is announced before the extension starts: the controller reads the FIFO and counts
    and digests for itself.
    """

    deployment: str
    slot: str
    name: str
    kind: Literal["file", "directory", "stream"]
    size_bytes: int
    sha256: str = ""


@frozen
class Checked:
    """All checks have passed; the helper waits for GO."""


@frozen
class Finished:
    """Last event, exactly once. `error` is empty when everything that was asked is done.

    `left` is what the agent found of its own when all should have been gone.
    `unfit` says that this place lacks what the job asks for, and that nothing was unpacked.
    """

    outcome: Literal["ok", "failed", "interrupted"]
    error: str = ""
    hint: str = ""
    swept: int = 0
    left: tuple[Left, ...] = ()
    unfit: bool = False


Event = (
    Hello
    | StepStarted
    | Progress
    | Log
    | Changed
    | Connection
    | StepFinished
    | Artifact
    | Checked
    | BaseVerified
    | Finished
)


def base_step(deployment: str) -> str:
    """Return the id of the step that unpacks a deployment's source."""
    return f"{deployment}:base"


def metadata_step(deployment: str) -> str:
    """Return the id of the step that writes a deployment's deployment.meta."""
    return f"{deployment}:metadata"
