"""Precedence: deploy-defaults, the deployment's own, --env, then NAME.KEY=VALUE."""

from collections.abc import Mapping

from containerdeploy.definition import Cluster, Components, Deployment, System, SystemEntry
from containerdeploy.document import Place
from containerdeploy.frozen import frozen, replace
from containerdeploy.plan.arguments import Assignments, read_arguments
from containerdeploy.plan.options import Options


@frozen
class Chosen:
    """The value that won, where it came from in words, and the place to complain about."""

    text: str
    origin: str
    at: Place


@frozen
class ResolvedDeployment:
    """A deployment that will happen, with its final settings; subsystems likewise.

    A partial one configures nothing and has neither subsystems nor its system's source.
    """

    deployment: Deployment
    system: System
    settings: Mapping[str, Chosen]
    is_subsystem: bool
    components: Components | None = None
    subsystems: tuple["ResolvedDeployment", ...] = ()

    @property
    def name(self) -> str:
        return self.deployment.name


@frozen
class ResolvedEntry:
    """A system of the cluster with those of its deployments that will happen."""

    system: System
    deployments: tuple[ResolvedDeployment, ...]


def resolve(cluster: Cluster, options: Options) -> tuple[ResolvedEntry, ...]:
    """Return what is selected with final settings; raise PlanError for arguments that don't fit."""
    assignments = read_arguments(cluster, options)
    return tuple(
        ResolvedEntry(
            system=entry.system,
            deployments=_entry(entry, entry.chosen(options.names), options, assignments, False),
        )
        for entry in cluster.chosen(options.names)
        if entry.system is not None
    )


def _entry(
    entry: SystemEntry,
    deployments: tuple[Deployment, ...],
    options: Options,
    assignments: Assignments,
    is_subsystem: bool,
) -> tuple[ResolvedDeployment, ...]:
    if entry.system is None:
        return ()
    system = entry.system
    if options.partial:
        system = replace(system, extensions=(), source=None)
    subsystems = tuple(
        resolved
        for sub in (() if options.partial else entry.subsystems)
        for resolved in _entry(sub, sub.deployments, options, assignments, True)
    )
    return tuple(
        ResolvedDeployment(
            deployment=one,
            system=system,
            settings=_settings(entry, one, options, assignments.get(one.name, {})),
            is_subsystem=is_subsystem,
            components=one.components or entry.components,
            subsystems=subsystems,
        )
        for one in deployments
    )


def _settings(
    entry: SystemEntry, one: Deployment, options: Options, assigned: Mapping[str, str]
) -> dict[str, Chosen]:
    """Lay the four layers over each other; the later wins."""
    written = {
        setting.name: Chosen(text=setting.text, origin=str(setting.at), at=setting.at)
        for setting in (*entry.defaults, *one.settings)
    }
    env = {
        name: Chosen(text=value, origin=f"--env {name}", at=one.at)
        for name, value in options.env.items()
    }
    line = {
        name: Chosen(text=value, origin="the command line", at=one.at)
        for name, value in assigned.items()
    }
    return written | env | line
