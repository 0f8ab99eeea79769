"""Looks, before anything is started, whether every image has what the extensions run with."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from containerdeploy import images, wire
from containerdeploy.engine import Engine, ImageInfo
from containerdeploy.errors import PlanError
from containerdeploy.helper.offers import offered
from containerdeploy.plan import Plan, PlannedDeployment, PlannedStep
from containerdeploy.programs import Programs


def check(
    plan: Plan, engine: Engine, found: Mapping[str, ImageInfo], memory: Path, owner: str
) -> None:
    """Raise PlanError that names, for every extension, the programs that its image has not.

    `found` are the plan's images by name; `memory` is where answers of images are kept.
    """
    offers = {name: offered(engine, image, memory, owner) for name, image in found.items()}
    lacking: dict[tuple[str, str], tuple[str, ...]] = {}
    for system in plan.systems:
        programs = offers[system.image]
        for step in _steps(system.deployments) if programs else ():
            if missing := _missing(step, programs):
                extension = step.extension
                lacking[str(extension.relative or extension.path), system.image] = missing
    if lacking:
        raise _error(lacking, is_local=engine.describe().flavour == "local")


def _steps(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedStep]:
    for deployment in deployments:
        yield from _steps(deployment.subsystems)
        yield from deployment.steps


def _missing(step: PlannedStep, programs: Programs | None) -> tuple[str, ...]:
    extension = step.extension
    needed = dict.fromkeys((*extension.runs_with, *extension.sidecar.tools))
    given = wire.LOOP_PROGRAMS if step.loop_devices else ()
    absent = (name for name in needed if programs and not programs.has(name))
    return tuple(name for name in absent if name not in given)


def _error(lacking: Mapping[tuple[str, str], tuple[str, ...]], *, is_local: bool) -> PlanError:
    lines = []
    for (path, image), missing in lacking.items():
        where = "on this host, whose tools the local engine uses" if is_local else f"in {image}"
        lines.append(f"{path} needs {', '.join(missing)}: not {where}{_elsewhere(missing)}")
    words = "an extension needs" if len(lacking) == 1 else f"{len(lacking)} extensions need"
    return PlanError(
        f"{words} programs that are not there",
        details="\n".join(lines),
        hint=_hint({name for missing in lacking.values() for name in missing}, is_local=is_local),
    )


def _elsewhere(missing: tuple[str, ...]) -> str:
    known = tuple(program for program in missing if images.having([program]))
    if not known:
        return ""
    words = "it" if len(missing) == 1 else "them" if known == missing else ", ".join(known)
    return f"; the image legacy has {words}"


def _hint(missing: set[str], *, is_local: bool) -> str:
    packages = images.packages(missing)
    known = f" (Debian's packages: {', '.join(packages)})" if packages else ""
    if having := images.having(missing):
        image = f"--image {having}, or `image: {having}` in the system or the cluster"
        return f"use docker and {image}; or install them{known}" if is_local else f"use {image}"
    if is_local:
        return f"install them{known}"
    return f"name an image that has them with --image or `image:`{known}"
