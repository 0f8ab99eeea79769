"""What clusters and systems hold, as read from their files; problems stay with their part."""

from collections.abc import Iterator
from pathlib import Path

from containerdeploy.document import Place
from containerdeploy.errors import Problem
from containerdeploy.frozen import frozen
from containerdeploy.network import Network


@frozen
class Setting:
    """A key of `deploy` or `deploy-defaults` and its value as the text an extension gets."""

    name: str
    text: str
    at: Place


@frozen
class Components:
    """What `partial-deploy-components` names, in its order."""

    names: tuple[str, ...]
    at: Place


@frozen
class Deployment:
    """One way to deploy a system; type and location are settings like the rest."""

    name: str
    at: Place
    settings: tuple[Setting, ...] = ()
    components: Components | None = None
    problems: tuple[Problem, ...] = ()


@frozen
class SourceSpec:
    """The archive that a system file names."""

    tar: Path
    sha256: str | None
    at: Place


@frozen
class ExtensionUse:
    """An entry of `configuration-extensions`; what is None is left to sidecar and defaults."""

    name: str
    at: Place
    network: Network | None = None
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    max_output_bytes: int | None = None
    cpus: float | None = None
    disk_bytes: int | None = None


@frozen
class System:
    """A system file; the name is empty where the file is none of a system."""

    name: str
    path: Path
    at: Place
    arch: str = ""
    image: str | None = None
    image_at: Place | None = None
    extensions: tuple[ExtensionUse, ...] = ()
    source: SourceSpec | None = None
    problems: tuple[Problem, ...] = ()


@frozen
class SystemEntry:
    """An item of `systems` or `subsystems`; `system` is None where its file was not wanted."""

    morph: str
    at: Place
    defaults: tuple[Setting, ...] = ()
    components: Components | None = None
    deployments: tuple[Deployment, ...] = ()
    subsystems: tuple["SystemEntry", ...] = ()
    system: System | None = None
    problems: tuple[Problem, ...] = ()

    def walk(self) -> Iterator["SystemEntry"]:
        """Yield this entry and all subsystems, at any depth."""
        yield self
        for entry in self.subsystems:
            yield from entry.walk()

    def chosen(self, names: frozenset[str]) -> tuple[Deployment, ...]:
        """Return the deployments that a selection takes; an empty selection takes all."""
        return tuple(one for one in self.deployments if not names or one.name in names)


@frozen
class Cluster:
    """A cluster file. `problems` concern the whole file; others lie with their parts."""

    name: str
    path: Path
    root: Path
    image: str | None = None
    image_at: Place | None = None
    secrets: tuple[str, ...] = ()
    entries: tuple[SystemEntry, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def deployment_names(self) -> tuple[str, ...]:
        """Return the names that can be selected, in the file's order."""
        return tuple(one.name for entry in self.entries for one in entry.deployments)

    def subsystem_names(self) -> tuple[str, ...]:
        """Return the names of all subsystems' deployments, at any depth."""
        subsystems = (sub for entry in self.entries for sub in entry.walk() if sub is not entry)
        return tuple(one.name for sub in subsystems for one in sub.deployments)

    def component_names(self) -> frozenset[str]:
        """Return every component that any deployment or its defaults name."""
        parts = [part for entry in self.entries for part in entry.walk()]
        named = [part.components for part in parts]
        named += [one.components for part in parts for one in part.deployments]
        return frozenset(name for one in named if one is not None for name in one.names)

    def chosen(self, names: frozenset[str]) -> tuple[SystemEntry, ...]:
        """Return the entries of which a selection takes any deployment."""
        return tuple(entry for entry in self.entries if not names or entry.chosen(names))

    def problems_for(self, names: frozenset[str]) -> tuple[Problem, ...]:
        """Return the problems that stop a selection: the file's, and those of what it takes."""
        found = list(self.problems)
        for entry in self.chosen(names):
            for part in entry.walk():
                taken = part.chosen(names) if part is entry else part.deployments
                found.extend(part.problems)
                found.extend(problem for one in taken for problem in one.problems)
                found.extend(part.system.problems if part.system else ())
        return tuple(found)
