"""From a user's files to the plan: reads what planning needs to know, then plans."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from containerdeploy import definition, paths, places, policy, source
from containerdeploy.document import did_you_mean
from containerdeploy.errors import DefinitionError, PlanError, UsageError
from containerdeploy.extension import Extension, ExtensionKind, Fault, Finder
from containerdeploy.frozen import replace
from containerdeploy.plan import (
    Catalogue,
    Options,
    Plan,
    PlannedDeployment,
    Refusal,
    ResolvedDeployment,
    Verb,
    destination,
    make_plan,
    resolve,
)
from containerdeploy.policy import Policy
from containerdeploy.source import Located, NotFound

BUILTIN = Path(__file__).parent / "extensions"
NOT_THERE = "not there yet"


def prepare(
    cluster_path: Path,
    definitions: Path | None,
    options: Options,
    builtin: Path = BUILTIN,
    *,
    rules: Policy | None = None,
) -> Plan:
    """Read the cluster and everything that it names, and plan; nothing is started.

    `rules` stand for those of the policy files. Raises UsageError for files that are not there,
    PlanError for arguments that don't fit the cluster, DefinitionError with every problem of what
    is selected.
    """
    options = replace(options, output_dir=(options.output_dir or Path()).absolute())
    cluster, catalogue = _read(cluster_path, definitions, options, builtin)
    catalogue = replace(catalogue, policy=rules or catalogue.policy)
    plan = make_plan(cluster, catalogue, options)
    if blocked := tuple(_blocked(plan, options.output_dir)):
        raise PlanError(
            "a result has no place to go",
            details="\n".join(blocked),
            hint="make room for it, or give another location or --output-dir",
        )
    return plan


def validate(
    cluster_path: Path,
    definitions: Path | None,
    options: Options,
    builtin: Path = BUILTIN,
    *,
    rules: Policy | None = None,
) -> tuple[Plan, tuple[str, ...]]:
    """Check all that `prepare` checks, but let sources and targets be as they are.

    `rules` stand for the operator's. Returns the plan and a note for every source that is not
    there yet.
    """
    options = replace(options, output_dir=(options.output_dir or Path()).absolute())
    cluster, catalogue = _read(cluster_path, definitions, options, builtin)
    catalogue = replace(catalogue, policy=rules or catalogue.policy)
    notes: list[str] = []

    def eventual(found: Located | NotFound) -> Located:
        if isinstance(found, Located):
            return found
        notes.append(found.message)
        return Located(path=Path(), origin=NOT_THERE)

    sources = {path: eventual(found) for path, found in catalogue.sources.items()}
    components = {name: eventual(found) for name, found in catalogue.components.items()}
    catalogue = replace(catalogue, sources=sources, components=components)
    return make_plan(cluster, catalogue, options), tuple(notes)


def chosen_environment(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that --env names; raise UsageError for one that is not set."""
    chosen = {}
    for name in names:
        if name not in environment:
            hint = did_you_mean(name, environment) or "set it, or leave the option out"
            raise UsageError(f"--env {name}: the environment has no such variable", hint=hint)
        chosen[name] = environment[name]
    return chosen


def _read(
    cluster_path: Path, definitions: Path | None, options: Options, builtin: Path
) -> tuple[definition.Cluster, Catalogue]:
    path = definition.find_cluster(cluster_path)
    root = definition.find_root(path, definitions)
    cluster = definition.load(path, root, names=options.names)
    try:
        resolved = [one for entry in resolve(cluster, options) for one in entry.deployments]
    except PlanError as err:
        if cluster.problems:  # they may be why the arguments don't fit
            raise DefinitionError(cluster.problems_for(options.names)) from err
        raise
    finder = Finder(root, builtin)
    deployments = list(_walk(resolved))
    extensions = dict(_extensions(deployments, finder, options.verb))
    rules = read_policy(root, options.policy)
    sources = {} if options.partial else _sources(deployments, cluster, options)
    components = _components(deployments, cluster, options) if options.partial else {}
    catalogue = Catalogue(
        extensions=extensions,
        sources={path: _pinned(found, rules) for path, found in sources.items()},
        components={name: _pinned(found, rules) for name, found in components.items()},
        problems=tuple(finder.problems),
        definitions_version=definition.describe_version(root),
        policy=rules,
    )
    return cluster, catalogue


def read_policy(definitions: Path | None = None, given: Path | None = None) -> Policy:
    """Read the policy files that hold for whoever runs this, and one that can only tighten."""
    return policy.load(places.OPERATORS_POLICY, places.own_policy(), given, definitions)


def _pinned(found: Located | NotFound, rules: Policy) -> Located | NotFound:
    """Return the archive as rules about sources judge it: without links, with its digest."""
    if isinstance(found, NotFound) or not rules.speaks_of_sources:
        return found
    path = Path(os.path.realpath(found.path))
    sha256 = found.sha256
    if sha256 is None and policy.wants_digests(rules):
        sha256 = source.digest(path, places.home() / "digests.json")
    return replace(found, path=path, sha256=sha256)


def _walk(deployments: Iterable[ResolvedDeployment]) -> Iterator[ResolvedDeployment]:
    for one in deployments:
        yield one
        yield from _walk(one.subsystems)


def _extensions(
    deployments: Iterable[ResolvedDeployment], finder: Finder, verb: Verb
) -> Iterator[tuple[tuple[str, ExtensionKind], Extension | Fault]]:
    """Yield every extension that the deployments need."""
    for one in deployments:
        for use in one.system.extensions:
            yield (use.name, "configure"), finder.find(use.name, "configure")
        place = destination(one, verb)
        if isinstance(place, Refusal):
            continue
        name = place.type.text
        write = finder.find(name, "write")
        yield (name, "write"), write
        check = finder.check_beside(write) if isinstance(write, Extension) else None
        if check is not None:
            yield (name, "check"), check


def _sources(
    deployments: Iterable[ResolvedDeployment], cluster: definition.Cluster, options: Options
) -> dict[Path, Located | NotFound]:
    systems = {one.system.path: one.system for one in deployments if one.system.name}
    names = {system.name for system in systems.values()}
    given, strangers = _artifacts(options, names)
    for name in () if options.deployments else strangers:  # a selection may leave systems out
        hint = did_you_mean(name, names) or f"the systems are: {', '.join(sorted(names))}"
        if name in cluster.component_names():
            hint = "it is a component: use --partial, or leave the artifact out"
        raise PlanError(f"--artifact '{name}=…': there is no system {name!r}", hint=hint)
    return {
        path: source.locate(
            system.name,
            artifact=given.get(system.name),
            declared=system.source.tar if system.source else None,
            sha256=system.source.sha256 if system.source else None,
            folder=options.artifacts_dir.absolute() if options.artifacts_dir else None,
        )
        for path, system in systems.items()
    }


def _components(
    deployments: Iterable[ResolvedDeployment], cluster: definition.Cluster, options: Options
) -> dict[str, Located | NotFound]:
    known = cluster.component_names()
    given, strangers = _artifacts(options, known)
    for name in strangers:
        brief = f"--artifact '{name}=…': no 'partial-deploy-components' names {name!r}"
        named = f"these are named: {', '.join(sorted(known)) or 'none'}"
        raise PlanError(brief, hint=did_you_mean(name, known) or named)
    folder = options.artifacts_dir.absolute() if options.artifacts_dir else None
    return {
        name: source.locate_component(name, artifact=given.get(name), folder=folder)
        for one in deployments
        for name in (one.components.names if one.components else ())
    }


def _artifacts(options: Options, known: Iterable[str]) -> tuple[dict[str, Path], list[str]]:
    """Read the words NAME=PATH; return paths by name, and the names that are not known.

    A name may hold a `=` where something is called so.
    """
    names = sorted(known, key=len, reverse=True)
    given, strangers = {}, []
    for word in options.artifacts:
        fits = [name for name in names if word.startswith(name + "=")]
        name = fits[0] if fits else word.partition("=")[0]
        path = word[len(name) + 1 :]
        if not path:
            raise PlanError(f"--artifact {word!r} is not {_named(options)}=PATH")
        if not fits:
            strangers.append(name)
        given[name] = Path(path).absolute()
    return given, strangers


def _named(options: Options) -> str:
    return "COMPONENT" if options.partial else "SYSTEM"


def _blocked(plan: Plan, output_dir: Path | None) -> Iterator[str]:
    """Say what is in a result's way; --output-dir itself will be made."""
    deployments: Iterable[PlannedDeployment] = (
        one for system in plan.systems for one in system.deployments
    )
    for one in deployments:
        if one.target is None:
            continue
        if paths.is_directory(one.target):
            yield f"{one.name}: {one.target} is a directory"
        elif one.write.extension.sidecar.output == "directory" and os.path.lexists(one.target):
            yield f"{one.name}: {one.target} exists, and the result is a directory"
        elif not paths.is_directory(one.target.parent) and one.target.parent != output_dir:
            yield f"{one.name}: there is no directory {one.target.parent}"
