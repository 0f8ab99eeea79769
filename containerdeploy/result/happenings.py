"""What can happen in a run: the values that the hall puts on its one queue, in order."""

from pathlib import Path

from containerdeploy import wire
from containerdeploy.frozen import frozen


@frozen
class RunStarted:
    """`systems` maps each system's label to the names of its deployments, in order.

    Subsystems' may be among them; `parents` maps each of these to the deployment that it is
    written into.
    """

    run: str
    verb: str
    cluster: str
    engine: str
    systems: tuple[tuple[str, tuple[str, ...]], ...]
    record: Path
    parents: tuple[tuple[str, str], ...] = ()


@frozen
class SystemStarted:
    """A system's helper is being made."""

    system: str
    image: str


@frozen
class Heard:
    """An event from a system's helper."""

    system: str
    event: wire.Event


@frozen
class Delivered:
    """An artifact is checked and in its place on this host."""

    system: str
    deployment: str
    path: Path
    size_bytes: int
    sha256: str


@frozen
class SystemFinished:
    """A system's helper is gone. `brief` is empty when all its deployments succeeded."""

    system: str
    outcome: str  # "deployed", "failed", "interrupted", "not started"
    brief: str = ""
    details: str = ""
    hint: str = ""


@frozen
class RunFinished:
    """The whole run is over and torn down; `exit_code` is what the command will exit with.

    `leftovers` is what of the run is still there, of all that was `looked_for`.
    """

    exit_code: int
    leftovers: tuple[str, ...] = ()
    looked_for: tuple[str, ...] = ()


Happening = RunStarted | SystemStarted | Heard | Delivered | SystemFinished | RunFinished
