"""Decides what a helper is: the container's shape and the agent's job. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath

from containerdeploy import wire
from containerdeploy.engine import ContainerSpec, Mount
from containerdeploy.frozen import frozen, replace
from containerdeploy.helper import payload
from containerdeploy.plan import Plan, PlannedDeployment, PlannedSource, PlannedStep, PlannedSystem

LABEL = "containerdeploy"
RUN_LABEL = "containerdeploy.run"
SYSTEM_LABEL = "containerdeploy.system"
RUNTIME_LABEL = "containerdeploy.runtime"
OWNER_LABEL = "containerdeploy.owner"
# The least that mounts an overlay and unpacks an archive with its owners and devices.
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID "
    "SYS_ADMIN SYS_CHROOT"
).split()
# For compat isolation: to bring up `lo` in a network that belongs to no user namespace.
MORE_FOR_COMPAT = ("NET_ADMIN",)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PIDS = 8192
RUN_TMPFS_BYTES = 256 << 20
TMP_TMPFS_BYTES = 64 << 20


@frozen
class Slot:
    """A staging directory, and what the part that the helper sees is called there.

    `received` is beyond the helper's reach: what comes through a FIFO is written there.
    """

    name: str
    staging: Path

    @property
    def directory(self) -> Path:
        return self.staging / "slot"

    @property
    def received(self) -> Path:
        return self.staging / "received"


@frozen
class Placement:
    """Where a system's things are on this host, for one run; `name` is the helper's.

    `sources` maps a source's path to where the helper finds it, with digest, size and compression;
    `slots` a deployment's name to its slot; `nonce` is a file only we know the content of.
    """

    run: str
    owner: str
    name: str
    store: str
    definitions: Path
    nonce: Path
    sources: Mapping[Path, wire.Source]
    slots: Mapping[str, Slot]
    verb: str
    source_date_epoch: int | None = None
    keep_going: bool = False
    waits: bool = False
    isolation: wire.WantedMode = "auto"
    runtime: str = ""


def container(system: PlannedSystem, place: Placement, *, shared_host: bool) -> ContainerSpec:
    """Return the helper's container; off this host its inputs and outputs are volumes."""
    plain = bare(place.name, system.image, place.store, place.owner, place.isolation)
    runtime = {RUNTIME_LABEL: place.runtime} if place.runtime else {}
    return replace(
        plain,
        labels={**plain.labels, RUN_LABEL: place.run, SYSTEM_LABEL: system.name, **runtime},
        runtime=place.runtime,
        mounts=[*plain.mounts, *(_binds(place) if shared_host else _volumes())],
        network=any(step.network.mode != "none" for step in steps(system.deployments)),
        loop_devices=any(step.loop_devices for step in steps(system.deployments)),
    )


def bare(
    name: str, image: str, store: str, owner: str, isolation: wire.WantedMode = "auto"
) -> ContainerSpec:
    """Return a helper that has the store and nothing else."""
    profile = resources.files("containerdeploy.helper").joinpath("seccomp.json")
    return ContainerSpec(
        name=name,
        image=image,
        argv=payload.ARGV,
        environment={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        labels={LABEL: "helper", OWNER_LABEL: owner},
        mounts=[
            Mount(kind="volume", source=store, target=wire.STORE),
            Mount(kind="tmpfs", target="/run", size_bytes=RUN_TMPFS_BYTES),
            Mount(kind="tmpfs", target="/tmp", size_bytes=TMP_TMPFS_BYTES, mode=0o1777),
        ],
        capabilities=[*CAPABILITIES, *(MORE_FOR_COMPAT if isolation == "compat" else ())],
        seccomp=profile.read_text(encoding="utf-8"),
        seccomp_path=str(profile),
        pids=PIDS,
    )


def _binds(place: Placement) -> Iterator[Mount]:
    yield Mount(kind="bind", source=str(place.nonce), target=wire.NONCE, read_only=True)
    yield Mount(kind="bind", source=str(place.definitions), target=wire.DEFINITIONS, read_only=True)
    for path, source in place.sources.items():
        yield Mount(kind="bind", source=str(path), target=source.path, read_only=True)
    for slot in place.slots.values():
        target = f"{wire.OUTPUT}/{slot.name}"
        yield Mount(kind="bind", source=str(slot.directory), target=target)


def bind_sources(plan: Plan, home: Path) -> Iterator[str]:
    """Every path below which a plan's helpers, on this host, get something to see."""
    yield from (str(home), str(plan.definitions))
    for system in plan.systems:
        yield from (str(source.path) for source in sources(system.deployments))
        yield from (str(one.target.parent) for one in system.deployments if one.target is not None)


def sources(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedSource]:
    """What the deployments are made from, their subsystems too."""
    for deployment in flatten(deployments):
        yield from deployment.sources


def flatten(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedDeployment]:
    """The deployments and their subsystems, at any depth."""
    for deployment in deployments:
        yield deployment
        yield from flatten(deployment.subsystems)


def _volumes() -> Iterator[Mount]:
    for target in (wire.DEFINITIONS, wire.SOURCES, wire.OUTPUT):
        yield Mount(kind="anonymous", target=target)


def job(system: PlannedSystem, place: Placement, *, shared_host: bool) -> wire.Job:
    return wire.Job(
        kind="deploy",
        run=place.name,
        system=system.name,
        deployments=tuple(
            _deployment(item, place, shared_host=shared_host) for item in system.deployments
        ),
        source_date_epoch=place.source_date_epoch,
        hold=not shared_host,
        keep_going=place.keep_going,
        waits=place.waits,
        isolation=place.isolation,
    )


def steps(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedStep]:
    """Every extension that will be run, subsystems' too."""
    for deployment in flatten(deployments):
        yield from deployment.steps


def step_ids(deployments: Sequence[wire.Deployment]) -> Iterator[str]:
    """Every step that the agent may tell of."""
    for deployment in deployments:
        yield from (wire.base_step(deployment.name), wire.metadata_step(deployment.name))
        yield from (s.id for s in (deployment.check, *deployment.configure, deployment.write) if s)
        yield from step_ids(deployment.subsystems)


def _deployment(
    planned: PlannedDeployment, place: Placement, *, shared_host: bool, inside: bool = False
) -> wire.Deployment:
    output = None
    location = planned.location
    if inside:
        location = f"{wire.PARENT_TREE}/{planned.location.lstrip('/')}"
    elif planned.target is not None:
        kind = planned.write.extension.sidecar.output
        slot = place.slots[planned.name].name
        piped = kind == "stream" and shared_host
        output = wire.Output(slot=slot, name=planned.target.name, kind=kind, piped=piped)
        location = f"{wire.OUTPUT}/{planned.target.name}"
    tree = wire.TREE

    def step(item: PlannedStep, number: int, *arguments: str) -> wire.Step:
        return _step(item, f"{planned.name}:{number}", arguments, planned, place.verb)

    return wire.Deployment(
        name=planned.name,
        source=place.sources[planned.source.path],
        metadata=planned.metadata,
        check=step(planned.check, 0, location) if planned.check else None,
        configure=tuple(
            step(item, number, tree) for number, item in enumerate(planned.configure, 1)
        ),
        write=step(planned.write, len(planned.configure) + 1, tree, location),
        output=output,
        components=_components(planned, place),
        subsystems=tuple(
            _deployment(sub, place, shared_host=shared_host, inside=True)
            for sub in planned.subsystems
        ),
    )


def _components(planned: PlannedDeployment, place: Placement) -> tuple[wire.Component, ...]:
    """Return the components with their archives; of equal archives only the last counts."""
    by_digest: dict[str, wire.Component] = {}
    for one in reversed(planned.components):
        source = place.sources[one.source.path]
        by_digest.setdefault(source.sha256, wire.Component(name=one.name, source=source))
    return tuple(reversed(by_digest.values()))


def _step(
    item: PlannedStep,
    step_id: str,
    arguments: tuple[str, ...],
    planned: PlannedDeployment,
    verb: str,
) -> wire.Step:
    extension = item.extension
    path = _helper_path(extension.relative, extension.path)
    default = wire.Limits()
    return wire.Step(
        id=step_id,
        kind=extension.kind,
        name=extension.name,
        argv=(*extension.interpreter, path, *arguments),
        environment=_environment(planned, path, verb),
        network=item.network.mode,
        hosts=item.network.hosts,
        tree=extension.sidecar.tree,
        loop_devices=item.loop_devices,
        writes=extension.sidecar.writes,
        privileged_files=extension.sidecar.privileged_files,
        program=path,
        sha256=extension.sha256 if item.is_pinned and extension.relative else "",
        limits=wire.Limits(
            timeout_s=item.timeout_s if item.timeout_s is not None else default.timeout_s,
            idle_timeout_s=item.idle_timeout_s,
            memory_bytes=item.memory_bytes,
            pids=item.pids or default.pids,
            max_output_bytes=item.max_output_bytes or default.max_output_bytes,
            cpus=item.cpus,
            disk_bytes=item.disk_bytes,
        ),
    )


def _helper_path(relative: str | None, path: Path) -> str:
    if relative is None:
        return f"{wire.EXTENSIONS}/{path.name}"
    return f"{wire.DEFINITIONS}/{relative}"


def _environment(planned: PlannedDeployment, path: str, verb: str) -> dict[str, str]:
    """What an extension gets: its parameters, and the little that every program needs."""
    return {
        **{parameter.name: parameter.value for parameter in planned.parameters},
        "UPGRADE": "yes" if verb == "upgrade" else "no",
        "PATH": PATH,
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": wire.TMPDIR,
        "PYTHONPATH": str(PurePosixPath(path).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
