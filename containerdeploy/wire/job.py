"""The Job: all that one helper does, as the controller tells it."""

from collections.abc import Mapping
from typing import Literal

from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.wire.bounds import VERSION
from containerdeploy.wire.limits import Limits
from containerdeploy.wire.words import (
    Compression,
    Network,
    OutputKind,
    StepKind,
    TreeAccess,
    WantedMode,
)


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
class View:
    """What of the definitions steps see: the paths `shown` below DEFINITIONS, "" for all of them.

    `files` are inputs of the steps that have this view (see cache/inputs.py). `fingerprint` is of
    what the controller digested (cache/views.py); empty where the agent sees a copy of its own.
    """

    shown: tuple[str, ...] = ("",)
    files: Mapping[str, str] = NOTHING
    fingerprint: str = ""


@frozen
class Caching:
    """How a step's layer is found again: by all `inputs` that it depends on (cache/inputs.py).

    `slot` names the place in the store where its last inputs are noted, `made_for` says in words
    what that place is. With `anew` the layer is made again even if there is one.
    """

    inputs: Mapping[str, str]
    slot: str
    made_for: str
    anew: bool = False


@frozen
class Step:
    """One run of one extension. `id` is unique in the job and names the step in every event.

    `hosts` is for a `listed` network: `name:port`, `*.name:port`, `1.2.3.4:port` or `[v6]:port`.
    `loop_devices` is how many it may have at a time, by asking the agent. `writes` are the paths of
    the tree that it may change, None for all; with them, `privileged_files` are those below which
    it may leave files with a setuid or setgid bit or a capability. With `sha256`, the file at
    `program` has to have that digest, and keeps it as long as the step runs. `view` is the number
    of its view of the definitions in the job, None for all of them as they are. One that
    `sees_metadata` finds deployment.meta in the tree. Without `caching` its layer is not kept.
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
    view: int | None = None
    sees_metadata: bool = True
    caching: Caching | None = None
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
    before it is answered with GO. `views` are what of the definitions steps
    see. Hello returns the content of the file NONCE: the proof that binds show this host's files.
    """

    kind: Literal["deploy", "sweep", "probe", "verify"]
    run: str
    system: str = ""
    deployments: tuple[Deployment, ...] = ()
    source_date_epoch: int | None = None
    hold: bool = False
    keep_going: bool = False
    waits: bool = False
    views: tuple[View, ...] = ()
    isolation: WantedMode = "auto"
    version: int = VERSION
