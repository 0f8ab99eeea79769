"""What every engine can do: the verbs of a container's life and the values that they take.

An engine knows containers, nothing of systems or deployments. All engines are held to one suite,
tests/contract.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from containerdeploy.frozen import NOTHING, frozen

ContainerId = str
StreamName = Literal["stdout", "stderr"]


@frozen
class Mount:
    """Something to be seen at `target` inside a container.

    `bind`: the host's `source` directory or file. `volume`: the engine's named volume `source`,
    made if it isn't there, kept afterwards. `anonymous`: a volume that goes with the container.
    `tmpfs`: memory, at most `size_bytes`.
    """

    kind: Literal["bind", "volume", "anonymous", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    size_bytes: int | None = None
    mode: int = 0o755


@frozen
class ContainerSpec:
    """A container to be made; everything an engine needs and nothing else.

    `capabilities` are the only ones it gets (names without CAP_), `seccomp` is a profile as JSON
    text (the OCI runtime's format) or None for the engine's own, `seccomp_path` the same profile as
    a file on the controller's host (Podman takes no other). `network` False means no interface but
    loopback. The root file system is read-only; the container is removed by the engine when it ends
    unless `keep` is set; its log driver is `none`. With `loop_devices` it may make device nodes for
    loop devices and use them. `runtime` names one of the engine's `runtimes`; none is its usual.
    """

    name: str
    image: str
    argv: Sequence[str]
    environment: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    mounts: Sequence[Mount] = ()
    capabilities: Sequence[str] = ()
    seccomp: str | None = None
    seccomp_path: str | None = None
    network: bool = False
    memory_bytes: int | None = None
    pids: int | None = None
    cpus: float | None = None
    keep: bool = False
    loop_devices: bool = False
    runtime: str = ""


@frozen
class EngineInfo:
    """What an engine says of itself; `flavour` tells Docker, Podman and local apart.

    `runtimes` are what it can run containers with, by the names that a spec takes.
    """

    flavour: Literal["docker", "podman", "local", "fake"]
    address: str
    version: str
    api_version: str
    kernel: str
    rootless: bool = False
    runtimes: tuple[str, ...] = ()


@frozen
class ImageInfo:
    """An image as the engine has it; `id` is its content digest, `layers` those of its layers."""

    id: str
    name: str
    size_bytes: int
    layers: tuple[str, ...] = ()
    labels: Mapping[str, str] = NOTHING


@frozen
class ContainerInfo:
    """A container that exists; `created` is seconds since the epoch."""

    id: ContainerId
    name: str
    labels: Mapping[str, str]
    state: str
    created: float


@frozen
class VolumeInfo:
    """A named volume that exists."""

    name: str
    labels: Mapping[str, str]


class Attached(Protocol):
    """Both ends of a container's standard streams, attached before it starts.

    `close` may be called from any thread, at any time, more than once; a blocked `read` then ends.
    """

    def read(self, timeout_s: float) -> tuple[StreamName, bytes] | None:
        """Return the next piece, or None at the end of both streams.

        Pieces are at most 1 MiB. Raises TimeoutError when nothing came in time, EngineError when
        the connection broke.
        """
        ...

    def write(self, data: bytes) -> None:
        """Write all of `data` to the container's stdin; raise EngineError when it can't take it."""
        ...

    def close(self) -> None:
        """Close stdin and stop listening: for a helper this ends its lease."""
        ...


class Engine(Protocol):
    """A handful of verbs. All raise EngineError (with `transient` set truthfully) or a child of it.

    Calls are safe from several threads. Every call has a deadline.
    """

    def describe(self) -> EngineInfo: ...

    def image(self, name: str) -> ImageInfo:
        """Look an image up; raise ImageMissing when the engine doesn't have it."""
        ...

    def create(self, spec: ContainerSpec) -> ContainerId:
        """Make the container, not started. Idempotent by name: a lost answer is looked up.

        Raises EngineError("… bind source …") when a bind's source isn't on the engine's host.
        """
        ...

    def put(self, container: ContainerId, path: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar stream into a writable volume of a container that isn't started."""
        ...

    def attach(self, container: ContainerId) -> Attached: ...

    def start(self, container: ContainerId) -> None:
        """Start it; raise Stillborn where it ended before its program began."""

    def wait(self, container: ContainerId, timeout_s: float) -> int | None:
        """Wait for the end; the exit code, or None where the engine has already forgotten it.

        Raises TimeoutError.
        """
        ...

    def fetch(self, container: ContainerId, path: str) -> Iterator[bytes]:
        """Stream `path` of a container as a tar."""
        ...

    def kill(self, container: ContainerId) -> None:
        """Kill at once; no error when it is not running or gone."""
        ...

    def remove(self, container: ContainerId) -> None:
        """Remove by force with its anonymous volumes; no error when it is gone already."""
        ...

    def containers(self, label: str) -> Sequence[ContainerInfo]:
        """List containers, stopped ones too, that carry `label` (`key` or `key=value`)."""
        ...

    def volumes(self, label: str) -> Sequence[VolumeInfo]: ...

    def remove_volume(self, name: str) -> None: ...

    def close(self) -> None: ...
