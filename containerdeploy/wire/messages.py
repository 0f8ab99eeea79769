"""The messages: a Job and the kinds of Event."""

from collections.abc import Mapping
from typing import Literal

from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.wire.limits import Limits
from containerdeploy.wire.traffic import Connection, Traffic
from containerdeploy.wire.upkeep import BaseVerified, Left
from containerdeploy.wire.words import (
    ChangeKind,
    Compression,
    Mode,
    Network,
    Outcome,
    OutputKind,
    StepKind,
    TreeAccess,
    WantedMode,
)

VERSION = 2
MAX_LINE = 64 * 1024
MAX_JOB = 64 * 1024 * 1024
TEXT_PER_LINE = 5 * 1024  # twelve bytes for the worst character, and room for the rest
MOST_LISTED = 20_000  # paths that a step changed; all are counted
CHANGES_PER_EVENT = 64
HEARTBEAT_S = 2.0
LEASE_S = 15.0
GO = b"g"  # what the controller answers to Checked; a heartbeat is a line's end


@frozen
class Source:
    """A root file system archive: its place inside the helper, and what its bytes must hash to.

    Unpacked it may take up `max_expansion` times its size (but a GiB in any case), `max_bytes` at
    the most, and have `max_members`; `rules` has the places of those that a policy's rule set.
    """

    path: str
    sha256: str
    size_bytes: int
    compression: Compression
    max_expansion: int = 20
    max_bytes: int | None = None
    max_members: int = 2_000_000
    rules: Mapping[str, str] = NOTHING


@frozen
class Component:
    """One of the archives of a partial deployment."""

    name: str
    source: Source


@frozen
class Step:
    """One run of one extension. `id` is unique in the job and names the step in every event.

    `hosts` is for a `listed` network: `name:port`, `*.name:port`, `1.2.3.4:port` or `[v6]:port`.
    `loop_devices` is how many it may have at a time, by asking the agent. `writes` are the paths of
    the tree that it may change, None for all; with them, `privileged_files` are those below which
    it may leave files with a setuid or setgid bit or a capability. With `sha256`, the file at
    `program` has to have that digest, and keeps it as long as the step runs.
    """

    id: str
    kind: StepKind
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    network: Network = "none"
    hosts: tuple[str, ...] = ()
    tree: TreeAccess = "read-only"
    loop_devices: int = 0
    writes: tuple[str, ...] | None = None
    privileged_files: tuple[str, ...] = ()
    program: str = ""
    sha256: str = ""
    limits: Limits = Limits()


@frozen
class Output:
    """The file or directory that a write extension is to leave in the helper's output directory.

    `slot` is a directory below OUTPUT that belongs to this deployment (for the extension it is
    OUTPUT itself); `name` is the entry in it. A `piped` output is a FIFO there that the controller
    reads itself: what it digests is what it writes.
    """

    slot: str
    name: str
    kind: OutputKind = "any"
    piped: bool = False


@frozen
class Deployment:
    """One deployment of a system: its own overlay over the source, then its steps in order.

    `metadata` is the text of deployment.meta. A subsystem has no output: its write extension writes
    below PARENT_TREE. Where there are `components`, these are laid over each other, the later wins,
    and `source` has no other meaning than the first of them.
    """

    name: str
    source: Source
    metadata: str
    check: Step | None = None
    configure: tuple[Step, ...] = ()
    write: Step | None = None
    output: Output | None = None
    components: tuple[Component, ...] = ()
    subsystems: tuple["Deployment", ...] = ()


@frozen
class Job:
    """All that one helper does.

    `deploy`: the deployments of one system, in order. `sweep`: remove what runs that nobody holds
    any more left in the store. `probe`: say what this place can do, and end. `verify`: compare the
    store's bases with what was recorded of them.
    `source_date_epoch` None means the newest modification time in the source. With `hold`, the
    agent keeps everything in place after Finished until its lease ends, for the controller to
    fetch. `isolation` names the only mode that will do; `auto` is the best of strict and rootless,
    never compat. One that `waits` says Checked when all its checks have passed, and unpacks nothing
    before it is answered with GO. Hello returns the content of the file NONCE: the proof that binds
    show this host's files.
    """

    kind: Literal["deploy", "sweep", "probe", "verify"]
    run: str
    system: str = ""
    deployments: tuple[Deployment, ...] = ()
    source_date_epoch: int | None = None
    hold: bool = False
    keep_going: bool = False
    waits: bool = False
    isolation: WantedMode = "auto"
    version: int = VERSION


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
