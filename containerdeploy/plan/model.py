"""The plan: all that a run will do, as values that nobody changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from containerdeploy.extension import Extension
from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.network import Network
from containerdeploy.policy import LimitName, Policy

Verb = Literal["deploy", "upgrade"]
Isolation = Literal["auto", "strict", "rootless", "compat"]


@frozen
class Parameter:
    """A value an extension will get, as text, and where it came from (`clusters/x.yaml:12:5`…)."""

    name: str
    value: str
    origin: str
    secret: bool = False


@frozen
class PlannedSource:
    """The archive a tree is made from; `origin` says which rule chose it, `at` who names it."""

    path: Path
    origin: str
    sha256: str | None = None
    at: str = ""


@frozen
class PlannedComponent:
    """One of the archives that a partial deployment is made from."""

    name: str
    source: PlannedSource


@frozen
class PlannedStep:
    """One run of one extension with what it may use; limits None means the default.

    `loop_devices` is how many it may have at a time: 0 unless that is granted. `is_pinned` means
    that no other bytes than those that were judged may be run. `at` is where the
    definitions name it, `limits_from` says who set a limit, by the limit's name.
    """

    extension: Extension
    network: Network
    timeout_s: float | None
    idle_timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    max_output_bytes: int | None = None
    cpus: float | None = None
    disk_bytes: int | None = None
    loop_devices: int = 0
    is_pinned: bool = False
    at: str = ""
    limits_from: Mapping[LimitName, str] = NOTHING


@frozen
class PlannedDeployment:
    """One deployment: what it is made from, configured with, and where it goes.

    `location` is what the user wrote; `target` the absolute path on this host that it means, or
    None where the location is the write extension's own affair. `metadata` is deployment.meta.
    `components` are laid over each other, the later wins; there are some in a partial deployment
    only, and `source` is the first of them then.
    """

    name: str
    system: str
    source: PlannedSource
    type: str
    location: str
    target: Path | None
    parameters: tuple[Parameter, ...]
    check: PlannedStep | None
    configure: tuple[PlannedStep, ...]
    write: PlannedStep
    metadata: str
    components: tuple[PlannedComponent, ...] = ()
    subsystems: tuple["PlannedDeployment", ...] = ()

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Return what is run, in order."""
        return tuple(one for one in (self.check, *self.configure, self.write) if one is not None)

    @property
    def sources(self) -> tuple[PlannedSource, ...]:
        """Return every archive that the tree is made from."""
        return tuple(one.source for one in self.components) or (self.source,)


@frozen
class PlannedSystem:
    """One helper: a system and those of its deployments that were chosen.

    `name` is unique in the plan and labels every line of output; `image_from` says who chose the
    image.
    """

    name: str
    image: str
    deployments: tuple[PlannedDeployment, ...]
    image_from: str = ""


@frozen
class Plan:
    """All that a run will do; `isolation` is how its extensions are held.

    `runtime` is the engine's that helpers run with, its usual one if empty.
    """

    verb: Verb
    cluster: str
    cluster_path: Path
    definitions: Path
    definitions_version: str
    systems: tuple[PlannedSystem, ...]
    warnings: tuple[str, ...] = ()
    source_date_epoch: int | None = None
    isolation: Isolation = "auto"
    runtime: str = ""
    policy: Policy = Policy(ground=Path("policy.yaml"))
