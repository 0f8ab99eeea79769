"""What to ask a Docker-compatible engine for, decided from a spec: pure, no call in here."""

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

from containerdeploy.engine.base import ContainerSpec, Mount
from containerdeploy.errors import EngineError
from containerdeploy.frozen import frozen

Json = dict[str, object]
TOKEN_LABEL = "containerdeploy.creation"
VOLUME_LABELS = {"containerdeploy": "store"}

# Explicit limits, since Podman's own (1,048,576 of each) can't be set on a host without
# CAP_SYS_RESOURCE, and since Python 2 closes every descriptor there could be before each exec.
_ULIMITS = (
    {"Name": "core", "Soft": 1, "Hard": 1},  # to 0 a program may still have it: agent/powers.py
    {"Name": "nofile", "Soft": 1024, "Hard": 4096},
)
# All loop devices, and what finds a free one. Podman's API knows no rules, only devices that exist.
_LOOP_RULES = ("b 7:* rwm", "c 10:237 rwm")
_LOOP_CONTROL = "/dev/loop-control"
_PODMAN_ULIMITS = ({"Name": "nproc", "Soft": 4096, "Hard": 4096},)


@frozen
class Host:
    """What the engine's host has that changes what must be asked for."""

    flavour: Literal["docker", "podman"]
    has_apparmor: bool
    has_selinux: bool
    is_rootless: bool
    loop_devices: Sequence[str] = ()
    runtimes: tuple[str, ...] = ()

    @classmethod
    def from_answers(
        cls,
        version: Mapping[str, object],
        info: Mapping[str, object],
        loop_devices: Sequence[str] = (),
    ) -> "Host":
        """Read the engine's answers to `version` and `info`; add the loop devices of its host."""
        components = version.get("Components") or []
        assert isinstance(components, list)
        names = {str(component.get("Name")) for component in components}
        options = info.get("SecurityOptions") or []
        assert isinstance(options, list)
        runtimes = info.get("Runtimes") or {}
        assert isinstance(runtimes, dict)
        present = {str(option).split(",")[0].removeprefix("name=") for option in options}
        return cls(
            flavour="podman" if "Podman Engine" in names else "docker",
            has_apparmor="apparmor" in present,
            has_selinux="selinux" in present,
            is_rootless="rootless" in present,
            loop_devices=loop_devices,
            runtimes=tuple(sorted(map(str, runtimes))),
        )


def body(spec: ContainerSpec, host: Host, *, token: str) -> Json:
    """Make the body of a create call; `token` marks the container as this call's own.

    StdinOnce makes the engine close the container's stdin when the connection that is attached
    to it ends, however it ends: stdin is the lease.
    """
    return {
        "Image": spec.image,
        "Entrypoint": list(spec.argv),
        "Cmd": [],
        "Env": [f"{key}={value}" for key, value in spec.environment.items()],
        "Labels": {**spec.labels, TOKEN_LABEL: token},
        "User": "0:0",
        "WorkingDir": "/",
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _confinement(spec, host) | _limits(spec, host) | _places(spec),
    }


def _confinement(spec: ContainerSpec, host: Host) -> Json:
    return {
        "AutoRemove": not spec.keep,
        "LogConfig": {"Type": "none", "Config": {}},
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.capabilities),
        "SecurityOpt": security_options(spec, host),
        "ReadonlyRootfs": True,
        "NetworkMode": "bridge" if spec.network else "none",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        **({"Runtime": spec.runtime} if spec.runtime else {}),
    }


def security_options(spec: ContainerSpec, host: Host) -> list[str]:
    """List what the kernel shall watch and, where it is in the way of mounting, not watch."""
    options = ["no-new-privileges"]
    if spec.seccomp is not None:
        options.append(f"seccomp={_seccomp(spec, host)}")
    if host.has_apparmor:
        options.append("apparmor=unconfined")
    if host.has_selinux:
        options.append("label=disable")
    return options


def _seccomp(spec: ContainerSpec, host: Host) -> str | None:
    match host.flavour:
        case "docker":
            return spec.seccomp
        case "podman" if spec.seccomp_path is not None:
            return spec.seccomp_path
        case "podman":
            brief = "Podman takes a seccomp profile only as a file on its host"
            raise EngineError(brief, hint="give the profile's path with its text")
        case _:
            assert_never(host.flavour)


def _limits(spec: ContainerSpec, host: Host) -> Json:
    limits: Json = {"Ulimits": [*_ULIMITS, *(_PODMAN_ULIMITS if host.flavour == "podman" else ())]}
    if spec.memory_bytes is not None:
        limits |= {"Memory": spec.memory_bytes, "MemorySwap": spec.memory_bytes}
    if spec.pids is not None:
        limits["PidsLimit"] = spec.pids
    if spec.cpus is not None:
        limits["NanoCpus"] = round(spec.cpus * 1_000_000_000)
    if spec.loop_devices and host.flavour == "docker":
        limits["DeviceCgroupRules"] = list(_LOOP_RULES)
    elif spec.loop_devices:
        limits["Devices"] = [_device(path) for path in (_LOOP_CONTROL, *host.loop_devices)]
    return limits


def _device(path: str) -> Json:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}


def _places(spec: ContainerSpec) -> Json:
    tmpfs = {mount.target: _tmpfs_options(mount) for mount in spec.mounts if mount.kind == "tmpfs"}
    return {
        "Tmpfs": tmpfs,
        "Mounts": [_mount(mount, spec) for mount in spec.mounts if mount.kind != "tmpfs"],
    }


def _tmpfs_options(mount: Mount) -> str:
    options = ["ro" if mount.read_only else "rw", "nosuid", "nodev", "exec", f"mode={mount.mode:o}"]
    if mount.size_bytes is not None:
        options.append(f"size={mount.size_bytes}")
    return ",".join(options)


def _mount(mount: Mount, spec: ContainerSpec) -> Json:
    """Give one entry of `Mounts`, which unlike `Binds` never makes a missing source."""
    place: Json = {"Target": mount.target, "ReadOnly": mount.read_only}
    match mount.kind:
        case "bind":
            propagation = {"Propagation": "rprivate"}
            return place | {"Type": "bind", "Source": mount.source, "BindOptions": propagation}
        case "volume":
            return place | {"Type": "volume", "Source": mount.source}
        case "anonymous":
            return place | {"Type": "volume", "VolumeOptions": {"Labels": dict(spec.labels)}}
        case _:
            raise ValueError(f"not a mount of this list: {mount.kind}")
