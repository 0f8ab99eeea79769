"""Definitions, catalogue and options to the plan; every problem on the way at once."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from containerdeploy import images
from containerdeploy.definition import Cluster, ExtensionUse, System
from containerdeploy.document import Place
from containerdeploy.errors import DefinitionError, Problem
from containerdeploy.extension import Extension, ExtensionKind, Fault, Sidecar
from containerdeploy.network import FULL, NONE, Network
from containerdeploy.plan import grants, judging, limits, partial, places
from containerdeploy.plan.metadata import metadata
from containerdeploy.plan.model import (
    Parameter,
    Plan,
    PlannedComponent,
    PlannedDeployment,
    PlannedSource,
    PlannedStep,
    PlannedSystem,
)
from containerdeploy.plan.options import Catalogue, Options
from containerdeploy.plan.parameters import (
    option_problems,
    parameters,
    reserved_warnings,
    size_problems,
)
from containerdeploy.plan.settings import ResolvedDeployment, ResolvedEntry, resolve
from containerdeploy.plan.targets import Targets
from containerdeploy.policy import refuse
from containerdeploy.source import NotFound

COMPAT = (
    "isolation compat: extensions run as real root without its capabilities, as in an ordinary "
    "container; use it for extensions that you trust with that"
)


def make_plan(cluster: Cluster, catalogue: Catalogue, options: Options) -> Plan:
    """Decide everything that will happen. Reads no file, calls no engine.

    `options.output_dir` has to be absolute. Raises PlanError for arguments that don't fit the
    cluster, DefinitionError with all problems of what is selected.
    """
    entries = resolve(cluster, options)
    planner = _Planner(cluster, catalogue, options, grants.asked_for(options, catalogue))
    planner.problems.extend(cluster.problems_for(options.names))
    planner.problems.extend(catalogue.problems)
    if options.partial:
        planner.warnings.extend(partial.warnings(cluster, options))
    systems = tuple(planner.system(entry) for entry in entries)
    if planner.problems:
        raise DefinitionError(planner.problems)
    plan = Plan(
        verb=options.verb,
        cluster=cluster.name,
        cluster_path=cluster.path,
        definitions=cluster.root,
        definitions_version=catalogue.definitions_version,
        systems=systems,
        warnings=tuple(dict.fromkeys((*cluster.warnings, *planner.warnings, *_compat(options)))),
        source_date_epoch=options.source_date_epoch,
        isolation=options.isolation,
        runtime=options.runtime,
        policy=catalogue.policy,
    )
    _refuse(plan, planner)
    return plan


def _refuse(plan: Plan, planner: "_Planner") -> None:
    """Raise PlanError with everything in the plan that the policy refuses."""
    files = [file.path for file in plan.policy.files] or [plan.policy.ground]
    lines = [*planner.above, *judging.refusals(plan), *grants.told(planner.refused)]
    refuse(lines, files)


def _compat(options: Options) -> tuple[str, ...]:
    return (COMPAT,) if options.isolation == "compat" else ()


@dataclass
class _Planner:
    """Plans one part after the other and collects what is wrong and what is odd."""

    cluster: Cluster
    catalogue: Catalogue
    options: Options
    granted: frozenset[str]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: list[grants.Refused] = field(default_factory=list)
    above: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _targets: Targets = field(default_factory=Targets)

    def system(self, entry: ResolvedEntry) -> PlannedSystem:
        system, cluster = entry.system, self.cluster
        image, origin = next(
            (name, origin)
            for name, origin in (
                (self.options.image, "--image"),
                (system.image, str(system.image_at)),
                (cluster.image, str(cluster.image_at)),
                (images.HELPER, str(system.at)),
            )
            if name
        )
        return PlannedSystem(
            name=self._label(system.name),
            image=images.full_name(image),
            image_from=origin,
            deployments=self.deployments(entry.deployments, ""),
        )

    def deployments(
        self, siblings: tuple[ResolvedDeployment, ...], prefix: str
    ) -> tuple[PlannedDeployment, ...]:
        """Plan deployments and their subsystems, without those that problems make impossible.

        A subsystem that goes into several deployments is called `DEPLOYMENT/SUBSYSTEM`.
        """
        planned = []
        for one in siblings:
            name = prefix + one.name
            is_shared = sum(other.subsystems == one.subsystems for other in siblings) > 1
            subsystems = self.deployments(one.subsystems, f"{name}/" if is_shared else prefix)
            planned.append(self.deployment(one, name, subsystems))
        return tuple(one for one in planned if one is not None)

    def deployment(
        self, one: ResolvedDeployment, name: str, subsystems: tuple[PlannedDeployment, ...]
    ) -> PlannedDeployment | None:
        """Plan a deployment; None where problems make it impossible."""
        self.problems.extend(size_problems(one))
        self.warnings.extend(reserved_warnings(one))
        components = self._components(one)
        source = components[0].source if components else self._source(one.system)
        configure = tuple(self._configure(use) for use in one.system.extensions)
        place = places.destination(one, self.options.verb)
        if isinstance(place, places.Refusal):
            self.problems.append(one.deployment.at.problem(place.message, place.hint))
            return None
        if place.warning:
            self.warnings.append(place.warning)
        write, check = self._write(place), self._check(place)
        steps = [step for step in (*configure, write, check) if step is not None]
        extensions = [step.extension for step in steps]
        self.problems.extend(option_problems(one, extensions, self.cluster.secrets))
        target = self._target(one, place, write)
        if self.options.partial and write is not None:
            self.problems.extend(partial.type_problems(place, write))
        if write is None or source is None:
            return None
        return PlannedDeployment(
            name=name,
            system=one.system.name,
            source=source,
            type=place.type.text,
            location=place.location.text,
            target=target,
            parameters=(values := parameters(one, extensions, self.cluster.secrets)),
            check=check,
            configure=tuple(step for step in configure if step is not None),
            write=write,
            metadata=self._metadata(one, place, values),
            components=components,
            subsystems=subsystems,
        )

    def _metadata(
        self, one: ResolvedDeployment, place: places.Destination, values: tuple[Parameter, ...]
    ) -> str:
        return metadata(
            system=one.system.name,
            type_=place.type.text,
            location=place.location.text,
            parameters=values,
            definitions_version=self.catalogue.definitions_version,
            partial=self.options.partial,
        )

    def _components(self, one: ResolvedDeployment) -> tuple[PlannedComponent, ...]:
        if not self.options.partial:
            return ()
        planned, problems = partial.components(one, self.catalogue.components)
        self.problems.extend(problems)
        return planned

    def _label(self, name: str) -> str:
        """Return a name that no other system of the plan has."""
        numbered = (name if number == 1 else f"{name}#{number}" for number in count(1))
        label = next(one for one in numbered if one not in self._names)
        self._names.add(label)
        return label

    def _source(self, system: System) -> PlannedSource | None:
        found = self.catalogue.sources.get(system.path)
        if found is None:
            return None  # has its problem already, or components instead
        if isinstance(found, NotFound):
            at = system.source.at if system.source else system.at
            self.problems.append(at.problem(found.message, found.hint))
            return None
        named = system.source.at if system.source else system.at
        return PlannedSource(
            path=found.path, origin=found.origin, sha256=found.sha256, at=str(named)
        )

    def _configure(self, use: ExtensionUse) -> PlannedStep | None:
        found = self.catalogue.extensions[use.name, "configure"]
        if isinstance(found, Fault):
            self.problems.append(use.at.problem(found.message, found.hint))
            return None
        network = use.network or found.sidecar.network or NONE
        return self._step(found, use.name, network, use, use.at)

    def _write(self, place: places.Destination) -> PlannedStep | None:
        return self._placed(place, "write", None)

    def _check(self, place: places.Destination) -> PlannedStep | None:
        write = self.catalogue.extensions[place.type.text, "write"]
        if isinstance(write, Fault) or (place.type.text, "check") not in self.catalogue.extensions:
            return None
        return self._placed(place, "check", write)

    def _placed(
        self, place: places.Destination, kind: ExtensionKind, write: Extension | None
    ) -> PlannedStep | None:
        """Plan a write extension, or the check beside it, which has the other's rights."""
        found = self.catalogue.extensions[place.type.text, kind]
        if isinstance(found, Fault):
            self.problems.append(place.type.at.problem(found.message, found.hint))
            return None
        declared = found.sidecar.network or (write.sidecar.network if write else None)
        implied = FULL if places.is_remote(place.location.text) else NONE
        return self._step(found, place.type.text, declared or implied, None, place.type.at)

    def _step(
        self,
        found: Extension,
        name: str,
        network: Network,
        use: ExtensionUse | None,
        at: Place,
    ) -> PlannedStep:
        settled = limits.settle(self.options, use, found, self.catalogue.policy)
        self.above.extend(settled.refused)
        devices = self._loop_devices(found, name)
        return PlannedStep(
            extension=found,
            network=network,
            **settled.values,
            limits_from=settled.origins,
            loop_devices=devices,
            is_pinned=devices > 0 or self.catalogue.policy.speaks_of_extensions,
            at=str(at),
        )

    def _loop_devices(self, found: Extension, name: str) -> int:
        """Return how many loop devices an extension asks for and may have."""
        origin = grants.origin(found, name, self.granted)
        if not origin:
            return 0
        allowed, why = self.catalogue.policy.loop_devices(found.sha256, found.path)
        if why:
            self.refused.append(grants.Refused(extension=found, origin=origin, why=why))
        return allowed

    def _target(
        self, one: ResolvedDeployment, place: places.Destination, write: PlannedStep | None
    ) -> Path | None:
        """Return the path on this host that a deployment writes to, if it writes to one."""
        sidecar = write.extension.sidecar if write else Sidecar()
        if self.options.verb == "upgrade" and sidecar.upgrade is False:
            message = f"the write extension {place.type.text!r} can't upgrade {one.name!r}"
            hint = "set upgrade-type and upgrade-location, or use deploy"
            self.problems.append(place.type.at.problem(message, hint))
        location, at = place.location.text, place.location.at
        if one.is_subsystem and places.leaves_parent(location):
            message = f"the location {location!r} leads out of the parent system's tree"
            self.problems.append(at.problem(message, "use a path below the parent's root"))
        if one.is_subsystem or places.is_remote(location) or sidecar.output == "none":
            return None
        fault = places.location_fault(location, is_directory=sidecar.output == "directory")
        if fault is not None:
            self.problems.append(at.problem(f"the location {location!r} {fault}"))
            return None
        path = places.target(location, self.options.output_dir or Path("/"))
        if complaint := self._targets.claim(path, one.name):
            self.problems.append(at.problem(complaint, "give each deployment one of its own"))
        return path
