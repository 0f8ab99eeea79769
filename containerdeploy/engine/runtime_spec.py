"""Turns a container's spec into an order for the local engine's launcher, or says what is wrong."""

import os
import re
from pathlib import Path, PurePosixPath

from containerdeploy import syscalls
from containerdeploy.engine import runtime_seccomp
from containerdeploy.engine.base import ContainerSpec, Mount
from containerdeploy.engine.runtime_order import Order, Place
from containerdeploy.errors import EngineError
from containerdeploy.frozen import frozen

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@frozen
class Content:
    """What lies at a path of a container: `inside` the host's directory `volume`."""

    volume: Path
    inside: str
    read_only: bool


def order(spec: ContainerSpec, container: str, directory: Path, volumes: Path) -> Order:
    """Decide what the launcher is told; `directory` is the container's, `volumes` all named ones.

    Raises EngineError for what can't be done.
    """
    if not spec.argv:
        raise EngineError("a container needs a program to run")
    if unknown := set(spec.capabilities) - syscalls.CAPABILITIES.keys():
        raise EngineError(f"unknown capability '{min(unknown)}'", hint="write it without CAP_")
    return Order(
        id=container,
        argv=list(spec.argv),
        environment=dict(spec.environment),
        places=[
            _place(mount, number, directory, volumes) for number, mount in enumerate(spec.mounts)
        ],
        capabilities=list(spec.capabilities),
        program=_filter(spec),
        network=spec.network,
        memory_bytes=spec.memory_bytes,
        pids=spec.pids,
        cpus=spec.cpus,
        keep=spec.keep,
    )


def source(mount: Mount, number: int, directory: Path, volumes: Path) -> Path | None:
    """Return where a mount's content lies on this host; None for a tmpfs."""
    match mount.kind:
        case "bind":
            return Path(mount.source)
        case "volume":
            return volume(mount.source, volumes)
        case "anonymous":
            return directory / "volumes" / str(number)
        case "tmpfs":
            return None


def volume(name: str, volumes: Path) -> Path:
    """Return a named volume's directory; EngineError for a name that is none."""
    if not _VOLUME_NAME.fullmatch(name):
        hint = "letters, digits, `_`, `.` and `-`, the first a letter or digit"
        raise EngineError(f"'{name}' is no name for a volume", hint=hint)
    return volumes / name


def find(spec: ContainerSpec, path: str, directory: Path, volumes: Path) -> Content | None:
    """Return what lies at `path`, or None where that is no volume or bind."""
    wanted = PurePosixPath("/", path)
    best: tuple[int, Mount] | None = None
    for number, mount in enumerate(spec.mounts):
        is_nearer = best is None or len(mount.target) > len(best[1].target)
        if is_nearer and wanted.is_relative_to(mount.target):
            best = (number, mount)
    found = best and source(best[1], best[0], directory, volumes)
    if best is None or found is None:
        return None
    inside = str(wanted.relative_to(best[1].target))
    return Content(volume=found, inside=inside, read_only=best[1].read_only)


def _place(mount: Mount, number: int, directory: Path, volumes: Path) -> Place:
    parts = PurePosixPath(mount.target).parts
    if parts[:1] != ("/",) or len(parts) < 2 or ".." in parts:
        hint = "an absolute path other than /, without .."
        raise EngineError(f"nothing can be mounted on '{mount.target}'", hint=hint)
    found = source(mount, number, directory, volumes)
    if mount.kind == "bind" and not (os.path.isabs(mount.source) and os.path.exists(mount.source)):
        raise EngineError(
            f"bind source '{mount.source}' is not on the engine's host",
            hint="check the path; it must be absolute",
        )
    return Place(
        source=str(found) if found else "",
        target=mount.target,
        read_only=mount.read_only,
        size_bytes=mount.size_bytes,
        mode=mount.mode,
    )


def _filter(spec: ContainerSpec) -> bytes:
    if spec.seccomp is None:
        return b""
    try:
        return runtime_seccomp.compile_profile(spec.seccomp, frozenset(spec.capabilities))
    except ValueError as err:
        raise EngineError("the seccomp profile can't be used", details=str(err)) from err
