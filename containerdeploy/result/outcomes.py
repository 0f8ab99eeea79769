"""What came out of a run: frozen values for the summary, the record and the commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from containerdeploy import wire
from containerdeploy.frozen import NOTHING, frozen

DeploymentOutcome = Literal["deployed", "failed", "skipped", "interrupted", "not started"]
StepOutcome = wire.Outcome | Literal["unfinished"]


@frozen
class StepResult:
    """One step: how it ended, the tail of what it said, the first paths that it changed.

    `changes` counts all paths by kind of change; `changed` may hold fewer (the full list is in the
    record). `log` is where the whole log lies, relative to the record; texts are UTF-8 with lone
    surrogates for other bytes. `traffic` is for a listed network, `connections` the first of it.
    """

    id: str
    kind: wire.StepKind
    name: str
    outcome: StepOutcome = "unfinished"
    detail: str = ""
    exit_code: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    cached: bool = False
    changes: Mapping[str, int] = NOTHING
    changed: tuple[wire.Change, ...] = ()
    tails: Mapping[str, str] = NOTHING
    log: str = ""
    traffic: wire.Traffic | None = None
    connections: tuple[wire.Connection, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.outcome in ("ok", "skipped")

    @property
    def label(self) -> str:
        """The step in the user's words: `set-hostname.configure`, `base`."""
        own = self.kind in ("base", "metadata")
        return self.kind if own else f"{self.name}.{self.kind}"


@frozen
class ArtifactResult:
    """Something in its place on this host; a directory has no digest."""

    path: Path
    size_bytes: int
    sha256: str = ""


@frozen
class DeploymentResult:
    """One deployment, or a subsystem that was written into one."""

    name: str
    outcome: DeploymentOutcome
    steps: tuple[StepResult, ...] = ()
    artifacts: tuple[ArtifactResult, ...] = ()
    error: str = ""
    details: str = ""
    hint: str = ""
    is_subsystem: bool = False

    @property
    def failed_step(self) -> StepResult | None:
        """The first step that went wrong, or was cut off; None where it was no step's fault."""
        return next((step for step in self.steps if not step.is_good), None)

    @property
    def wall_s(self) -> float:
        return sum(step.wall_s for step in self.steps)


@frozen
class SystemResult:
    """One system's helper and its deployments; `hello` says what protections were in use.

    `left` is what the agent had not let go of when it was done.
    """

    name: str
    outcome: DeploymentOutcome
    image: str = ""
    hello: wire.Hello | None = None
    deployments: tuple[DeploymentResult, ...] = ()
    brief: str = ""
    details: str = ""
    hint: str = ""
    left: tuple[wire.Left, ...] = ()


@frozen
class Audit:
    """What was looked for when a run was over, and what of the run was still there, in words."""

    looked_for: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@frozen
class RunResult:
    """A whole run. Times are seconds since the epoch; `ended` is None while it goes on.

    `leftovers` are for `cleanup`; `looked_for` says what could have been among them.
    """

    run: str = ""
    verb: str = ""
    cluster: str = ""
    engine: str = ""
    record: Path = Path()
    systems: tuple[SystemResult, ...] = ()
    exit_code: int | None = None
    started: float = 0.0
    ended: float | None = None
    leftovers: tuple[str, ...] = ()
    looked_for: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def count(self, outcome: DeploymentOutcome) -> int:
        """Count the deployments (not the subsystems in them) that ended so."""
        return sum(
            deployment.outcome == outcome and not deployment.is_subsystem
            for system in self.systems
            for deployment in system.deployments
        )
