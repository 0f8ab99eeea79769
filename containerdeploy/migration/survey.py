"""What the plans of a definitions tree say: which extensions are used, by what, with what."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from containerdeploy import definition, planning
from containerdeploy.definition import Cluster, SystemEntry
from containerdeploy.errors import DeployError
from containerdeploy.extension import Extension
from containerdeploy.frozen import frozen, replace
from containerdeploy.migration.model import Given, Use
from containerdeploy.plan import Options, Plan, PlannedDeployment, PlannedStep, Verb
from containerdeploy.policy import Policy

MAX_CLUSTERS = 200
_SUFFIXES = (".morph", ".yaml", ".yml")


def names_by_verb(cluster: Cluster) -> dict[Verb, tuple[str, ...]]:
    """Return the deployments that can be deployed, and those that are meant for upgrades."""
    entries = [entry for entry in cluster.entries if entry.deployments]
    keys = {
        one.name: {setting.name for setting in (*entry.defaults, *one.settings)}
        for entry in entries
        for one in entry.deployments
    }
    upgrades = {name for name, own in keys.items() if own & {"upgrade-type", "upgrade-location"}}
    only = {name for name in upgrades if not keys[name] & {"type", "location"}}
    every = tuple(keys)
    return {
        "deploy": tuple(name for name in every if name not in only),
        "upgrade": tuple(name for name in every if name in upgrades),
    }


@frozen
class Unplanned:
    """A deployment that can't be planned as it is; `why` is what planning says of it."""

    name: str
    verb: Verb
    why: tuple[str, ...]


@frozen
class Planned:
    """A cluster's plan for each verb that it has deployments for, and what is in none."""

    plans: Mapping[Verb, Plan]
    unplanned: tuple[Unplanned, ...]


def planned(
    path: Path, root: Path, options: Options, builtin: Path, policy: Policy | None = None
) -> Planned:
    """Plan all of a cluster that can be planned; sources may be missing.

    `policy` stands for the operator's. Raises as planning does where nothing can be planned.
    """
    cluster = definition.load(path, root)
    made: dict[Verb, Plan] = {}
    unplanned: list[Unplanned] = []
    for verb, names in names_by_verb(cluster).items():
        if not names and (verb != "deploy" or cluster.deployment_names()):
            continue

        def plan(chosen: tuple[str, ...], verb: Verb = verb) -> Plan:
            asked = replace(options, verb=verb, deployments=chosen)
            return planning.validate(path, root, asked, builtin, rules=policy)[0]

        try:
            made[verb] = plan(() if names == cluster.deployment_names() else names)
        except DeployError:
            parts, failures = _one_by_one(plan, names, verb)
            if not parts:
                raise
            unplanned += failures
            systems = tuple(system for part in parts for system in part.systems)
            made[verb] = replace(parts[0], systems=systems)
    return Planned(plans=made, unplanned=tuple(unplanned))


def _one_by_one(
    plan: Callable[[tuple[str, ...]], Plan], names: Iterable[str], verb: Verb
) -> tuple[list[Plan], list[Unplanned]]:
    parts, failures = [], []
    for name in names:
        try:
            parts.append(plan((name,)))
        except DeployError as err:
            why = tuple((err.details or err.brief).splitlines())
            failures.append(Unplanned(name=name, verb=verb, why=why))
    return parts, failures


def other_plans(path: Path, root: Path, options: Options, builtin: Path) -> Iterator[Plan]:
    """Yield the plans of the tree's other clusters, for they use the same extensions.

    One that can't be planned as a whole is planned a deployment at a time; what is wrong with it
    is no concern here.
    """
    for other in _clusters(path, root):
        try:
            cluster = definition.load(other, root)
        except DeployError:
            continue
        for verb, names in names_by_verb(cluster).items():
            yield from _planned(other, root, replace(options, verb=verb), names, builtin)


def uses(found: Iterable[Plan], others: Iterable[Plan]) -> tuple[Use, ...]:
    """Return every extension of the definitions that the plans use, in order of appearance.

    What other plans give to the same extensions counts as well.
    """
    known: dict[Path, Use] = {}
    for deployment in every(found):
        for step in steps(deployment):
            if step.extension.relative is not None and step.extension.path not in known:
                known[step.extension.path] = _use(step.extension, step.extension.relative)
    given: dict[Path, list[Given]] = {path: [] for path in known}
    for deployment in every((*found, *others)):
        for step in steps(deployment):
            if step.extension.path in given:
                given[step.extension.path].append(_given(deployment))
    return tuple(replace(use, given=tuple(given[path])) for path, use in known.items())


def every(plans: Iterable[Plan]) -> Iterator[PlannedDeployment]:
    """Yield all deployments of some plans, subsystems too."""
    for plan in plans:
        for system in plan.systems:
            for one in system.deployments:
                yield from flat(one)


def flat(one: PlannedDeployment) -> Iterator[PlannedDeployment]:
    """Yield a deployment and all its subsystems."""
    yield one
    for sub in one.subsystems:
        yield from flat(sub)


def steps(one: PlannedDeployment) -> tuple[PlannedStep, ...]:
    """Return a deployment's own steps in order."""
    return (*((one.check,) if one.check else ()), *one.configure, one.write)


def entries(cluster: Cluster) -> Iterator[SystemEntry]:
    """Yield all entries of a cluster, subsystems too."""
    for entry in cluster.entries:
        yield from entry.walk()


def _planned(
    path: Path, root: Path, options: Options, names: tuple[str, ...], builtin: Path
) -> Iterator[Plan]:
    def attempt(chosen: tuple[str, ...]) -> Plan | None:
        try:
            asked = replace(options, deployments=chosen, artifacts=())
            return planning.validate(path, root, asked, builtin)[0]
        except DeployError:
            return None

    if names and (whole := attempt(names)):
        yield whole
    else:
        yield from filter(None, (attempt((name,)) for name in names))


def _clusters(path: Path, root: Path) -> Iterator[Path]:
    folders = dict.fromkeys((path.parent, root / "clusters"))
    found = (
        one
        for folder in folders
        if folder.is_dir()
        for one in sorted(folder.iterdir())
        if one.suffix in _SUFFIXES and one.is_file() and one != path
    )
    for number, one in enumerate(found):
        if number < MAX_CLUSTERS:
            yield one


def _given(one: PlannedDeployment) -> Given:
    values = tuple((parameter.name, parameter.value) for parameter in one.parameters)
    return Given(deployment=one.name, values=values)


def _use(found: Extension, relative: str) -> Use:
    return Use(
        path=found.path,
        relative=relative,
        kind=found.kind,
        has_sidecar=found.path.with_name(found.path.name + ".yaml").exists(),
        runs_with=found.runs_with,
    )
