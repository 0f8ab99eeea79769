"""What a cluster's systems need to say natively: where their source lies, which image they take."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from containerdeploy import images, source
from containerdeploy.definition import Cluster, System
from containerdeploy.document import shown
from containerdeploy.frozen import frozen, replace
from containerdeploy.migration import survey
from containerdeploy.migration.guess import Guess
from containerdeploy.migration.model import Part, Remark, Weight
from containerdeploy.migration.sight import names_secret
from containerdeploy.plan import Plan, PlannedSource
from containerdeploy.planning import NOT_THERE

_OWN = "the system's source"


@frozen
class Needs:
    """What a system's file has to say and does not yet, with what the report says of it.

    `tar` is an archive that only the command line knows, with its digest; `legacy` the reasons for
    the image, where the file has to name it.
    """

    system: System
    tar: Path | None = None
    sha256: str = ""
    legacy: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def is_change(self) -> bool:
        return self.tar is not None or bool(self.legacy)


def system_needs(
    cluster: Cluster, plans: Sequence[Plan], guesses: Sequence[Guess], cache: Path
) -> dict[Path, Needs]:
    """Return every system's needs by its file."""
    reasons = _reasons(guesses)
    found: dict[Path, Needs] = {}
    for entry in survey.entries(cluster):
        system = entry.system
        if system is not None and system.path not in found:
            own = _configured(system, plans)
            why = tuple(reasons[path] for path in own if path in reasons)
            needs = _with_source(system, plans, cache)
            found[system.path] = _with_image(needs, why, cluster.image)
    return found


def cluster_needs(
    cluster: Cluster,
    plans: Sequence[Plan],
    guesses: Sequence[Guess],
    systems: Mapping[Path, Needs],
) -> tuple[str, ...]:
    """Return why the cluster has to name the image `legacy`.

    That is for what its deployments need besides their systems' own configuration: extensions that
    write, and subsystems, which are made in their parent's helper.
    """
    reasons = _reasons(guesses)
    tops = {one.name: one for plan in plans for each in plan.systems for one in each.deployments}
    found: dict[str, None] = {}
    for entry in cluster.entries if cluster.image is None else ():
        system = entry.system
        if system is None or system.image or systems[system.path].legacy:
            continue
        for top in (tops[one.name] for one in entry.deployments if one.name in tops):
            for one in survey.flat(top):
                paths = (step.extension.path for step in survey.steps(one))
                found |= {reasons[path]: None for path in paths if path in reasons}
    return tuple(found)


def secrets(cluster: Cluster, plans: Sequence[Plan], guesses: Sequence[Guess]) -> tuple[str, ...]:
    """Return the parameters that a cluster gives and that are secrets, where it lists none yet."""
    options = [option for one in guesses for option in one.options if option.secret]
    given = [held for one in survey.every(plans) for held in one.parameters]
    named = {
        held.name
        for held in given
        if held.secret
        or names_secret(held.name)
        or any(option.covers(held.name) for option in options)
    }
    return () if cluster.secrets else tuple(sorted(named))


def _with_source(system: System, plans: Sequence[Plan], cache: Path) -> Needs:
    planned = _source(system, plans)
    if planned is None or planned.origin == NOT_THERE:
        advice = f"give --artifact {system.name}=PATH, or --artifacts DIR, and migrate again"
        text = "has no source, so it can't be deployed"
        return Needs(system=system, remarks=(_remark(system, "trouble", text, advice),))
    if planned.origin == _OWN:
        text = f"has a source already: {shown(planned.path)}"
        return Needs(system=system, remarks=(_remark(system, "found", text),))
    sha256 = source.digest(planned.path, cache)
    text = f"source {shown(planned.path)} from {planned.origin}, sha256 {sha256}"
    return Needs(
        system=system,
        tar=planned.path,
        sha256=sha256,
        remarks=(_remark(system, "found", text),),
    )


def _source(system: System, plans: Sequence[Plan]) -> PlannedSource | None:
    """Return where a system's source was found; two files may describe systems of one name."""
    fits = [one.source for one in survey.every(plans) if one.system == system.name]
    own = [one for one in fits if (one.origin == _OWN) == (system.source is not None)]
    return next(iter(own or fits), None)


def _with_image(needs: Needs, reasons: tuple[str, ...], image: str | None) -> Needs:
    chosen = needs.system.image or image
    if not reasons or needs.legacy:
        return needs
    told = "; ".join(reasons)
    if chosen is None:
        text = f"image: legacy, for {told}"
        remark = _remark(needs.system, "guessed", text)
        return replace(needs, legacy=reasons, remarks=(*needs.remarks, remark))
    if images.own(images.full_name(chosen)) != "helper":
        return needs
    advice = "write 'image: legacy' in its place"
    remark = _remark(needs.system, "trouble", f"has the image {chosen!r}, but {told}", advice)
    return replace(needs, remarks=(*needs.remarks, remark))


def _reasons(guesses: Sequence[Guess]) -> dict[Path, str]:
    return {one.use.path: one.legacy for one in guesses if one.legacy}


def _configured(system: System, plans: Sequence[Plan]) -> tuple[Path, ...]:
    """Return the extensions that configure a system."""
    fits = (one for one in survey.every(plans) if one.system == system.name)
    steps = {
        use.name: step.extension.path
        for one in fits
        for use, step in zip(system.extensions, one.configure, strict=False)
    }
    return tuple(steps.values())


def _remark(system: System, weight: Weight, text: str, advice: str = "") -> Remark:
    at = f"{shown(system.path)}:{system.at.line}"
    return Remark(weight=weight, at=at, text=text, advice=advice)


def part(needs: Needs, root: Path) -> Part:
    """Return what the report says of a system."""
    name = os.path.relpath(needs.system.path, root)
    return Part(kind="system", name=name, remarks=needs.remarks)
