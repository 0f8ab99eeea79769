"""What is said of a run before it starts: settings, the record's header, who owns it."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from containerdeploy.engine import EngineInfo
from containerdeploy.errors import EngineError, Unfit
from containerdeploy.frozen import frozen
from containerdeploy.plan import Plan, PlannedDeployment
from containerdeploy.result import DeploymentParameters, RecordedParameter, RunHeader


@frozen
class Settings:
    """How to run: `home` keeps records and caches, `store` names the engine's store volume."""

    home: Path
    store: str
    jobs: int
    fail_fast: bool
    plan_json: Mapping[str, Any]
    versions: Mapping[str, str]
    why_engine: str = ""


def header(
    run: str, plan: Plan, info: EngineInfo, images: Mapping[str, str], settings: Settings
) -> RunHeader:
    """Return the header of a run's record; `images` maps names to ids."""
    return RunHeader(
        run=run,
        verb=plan.verb,
        cluster=plan.cluster,
        engine={
            "flavour": info.flavour,
            "address": info.address,
            "version": info.version,
            "api-version": info.api_version,
            "kernel": info.kernel,
            **({"runtime": plan.runtime} if plan.runtime else {}),
        },
        images={system.name: images[system.image] for system in plan.systems},
        versions=settings.versions,
        plan=settings.plan_json,
        parameters=tuple(_parameters(plan)),
    )


def refuse_grants(plan: Plan, info: EngineInfo) -> None:
    """Raise EngineError for privileges that an engine of an ordinary user can't hand on."""
    asking = [
        one.name
        for system in plan.systems
        for one in every(system.deployments)
        if any(step.loop_devices for step in one.steps)
    ]
    if asking and info.rootless:
        raise EngineError(
            f"{', '.join(asking)}: loop devices need an engine that runs as root",
            details=f"{info.flavour} at {info.address} runs as an ordinary user",
            hint="run it as root, or use an engine that does",
        )


def refuse_mode(plan: Plan, info: EngineInfo) -> None:
    """Raise EngineError for what compat isolation can't hold: real root needs more walls for it."""
    if plan.isolation != "compat":
        return
    steps = [
        step for system in plan.systems for one in every(system.deployments) for step in one.steps
    ]
    looping = sorted({step.extension.name for step in steps if step.loop_devices})
    if looping:
        raise Unfit(
            f"{', '.join(looping)}: loop devices are not to be had in compat isolation",
            details="what they mount can be shown to real root only with real ids",
            hint="use --isolation strict, or leave the grant out",
        )
    sharing = sorted({step.extension.name for step in steps if step.network.mode == "full"})
    if sharing and info.flavour == "local":
        raise Unfit(
            f"{', '.join(sharing)}: the network is not to be had in compat isolation here",
            details="the local engine shares this host's network, and real root would be trusted "
            "by whatever listens there on abstract sockets",
            hint="use --engine docker, or leave the network out",
        )


def refuse_runtime(plan: Plan, info: EngineInfo) -> None:
    """Raise EngineError for a runtime that the engine doesn't have."""
    if not plan.runtime or plan.runtime in info.runtimes:
        return
    place = f"{info.flavour} at {info.address}"
    if info.flavour == "local":
        details, hint = "the local engine has no runtimes: it is one itself", "use --engine docker"
    else:
        has = ", ".join(info.runtimes) or "none that it names"
        details, hint = f"{place} has: {has}", "install it there, or leave the option out"
    raise Unfit(f"--runtime: the engine has no {plan.runtime!r}", details=details, hint=hint)


def owner_label(record: Path | None) -> str:
    """Name this host and the run's record, if any: who may say whether the run is still alive."""
    return f"{host_id()}:{record or ''}"


def host_id() -> str:
    with suppress(OSError):
        if text := Path("/etc/machine-id").read_text(encoding="ascii").strip():
            return text
    return socket.gethostname()


def _parameters(plan: Plan) -> Iterator[DeploymentParameters]:
    for system in plan.systems:
        for deployment in every(system.deployments):
            recorded = tuple(
                RecordedParameter(name=p.name, value=p.value, origin=p.origin, secret=p.secret)
                for p in deployment.parameters
            )
            yield DeploymentParameters(
                system=system.name, deployment=deployment.name, parameters=recorded
            )


def every(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedDeployment]:
    for deployment in deployments:
        yield deployment
        yield from every(deployment.subsystems)


def names(deployments: Sequence[PlannedDeployment]) -> Iterator[str]:
    return (deployment.name for deployment in every(deployments))


def parents(plan: Plan) -> Iterator[tuple[str, str]]:
    for system in plan.systems:
        for deployment in every(system.deployments):
            for subsystem in deployment.subsystems:
                yield subsystem.name, deployment.name


def default_jobs() -> int:
    """Systems side by side: as many as there are processors to use."""
    return max(1, len(os.sched_getaffinity(0)))
