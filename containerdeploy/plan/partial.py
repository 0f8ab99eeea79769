"""Partial deployments: which components, from where, and by which write extensions."""

from collections.abc import Iterator, Mapping

from containerdeploy.definition import Cluster
from containerdeploy.errors import Problem
from containerdeploy.plan.model import PlannedComponent, PlannedSource, PlannedStep
from containerdeploy.plan.options import Options
from containerdeploy.plan.places import Destination
from containerdeploy.plan.settings import ResolvedDeployment
from containerdeploy.source import Located, NotFound

TYPES = ("tar", "sysroot")
KEY = "partial-deploy-components"
MOST = 300  # overlayfs takes 500 layers, if their names fit into a page


def components(
    one: ResolvedDeployment, found: Mapping[str, Located | NotFound]
) -> tuple[tuple[PlannedComponent, ...], tuple[Problem, ...]]:
    """Return a deployment's components in their order, and what is wrong with them.

    One that is named twice counts where it is named last: it would be laid over itself.
    """
    named = one.components
    if named is None or not named.names:
        at = named.at if named else one.deployment.at
        message = f"--partial: {one.name!r} doesn't say which components to deploy"
        return (), (at.problem(message, f"write '{KEY}: [NAME, ...]' below {one.name!r}"),)
    names = tuple(reversed(dict.fromkeys(reversed(named.names))))
    if len(names) > MOST:
        message = f"{one.name!r} names {len(names)} components; {MOST} at most can be laid together"
        return (), (named.at.problem(message, "pack some of them into one archive"),)
    planned, problems = [], []
    for name in names:
        place = found[name]
        if isinstance(place, NotFound):
            problems.append(named.at.problem(place.message, place.hint))
            continue
        source = PlannedSource(
            path=place.path, origin=place.origin, sha256=place.sha256, at=str(named.at)
        )
        planned.append(PlannedComponent(name=name, source=source))
    return tuple(planned), tuple(problems)


def type_problems(place: Destination, write: PlannedStep) -> Iterator[Problem]:
    """Complain about a write extension that needs a whole system."""
    if write.extension.name not in TYPES:
        message = f"--partial can't be written by {place.type.text!r}, which needs a whole system"
        yield place.type.at.problem(message, f"use one of the types {', '.join(TYPES)}")


def warnings(cluster: Cluster, options: Options) -> Iterator[str]:
    """Tell what a partial deployment leaves out without being asked to."""
    for entry in cluster.chosen(options.names):
        if entry.subsystems:
            yield f"--partial leaves out the subsystems of {entry.morph}"
