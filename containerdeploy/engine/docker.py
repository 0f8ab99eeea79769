"""The docker engine: Docker, and whatever else speaks its API, Podman first of all.

A helper's way to its start costs three calls: create, attach, start. What must be known of the
engine is asked once.
"""

import functools
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from containerdeploy.engine import binds, docker_config, docker_errors, retry
from containerdeploy.engine.base import (
    Attached,
    ContainerId,
    ContainerInfo,
    ContainerSpec,
    EngineInfo,
    ImageInfo,
    VolumeInfo,
)
from containerdeploy.engine.docker_address import TlsFiles
from containerdeploy.engine.docker_errors import NoAnswer, Refused
from containerdeploy.engine.docker_stream import AttachedSocket
from containerdeploy.errors import EngineError, ImageMissing

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")
CALL_S = 120
GONE_WITHIN_S = 60
REMOVE_ATTEMPTS = 15


class DockerEngine:
    """An engine behind a Docker-compatible API; raises EngineUnreachable when none answers."""

    def __init__(
        self, url: str, *, tls: TlsFiles | None = None, ping_s: int = 10, call_s: int = CALL_S
    ) -> None:
        from containerdeploy.engine.docker_client import Client

        self._client = Client(url, tls=tls, ping_s=ping_s, call_s=call_s)
        self._url = url
        self._lock = threading.Lock()
        self._known_volumes: set[str] = set()

    @property
    def flavour(self) -> str:
        """Which engine it is: docker or podman."""
        return self._host.flavour

    def describe(self) -> EngineInfo:
        version = self._client.version
        return EngineInfo(
            flavour=self._host.flavour,
            address=self._url,
            version=str(version.get("Version", "")),
            api_version=str(version.get("ApiVersion", "")),
            kernel=str(version.get("KernelVersion", "")),
            rootless=self._host.is_rootless,
            runtimes=self._host.runtimes,
        )

    def image(self, name: str) -> ImageInfo:
        """Look an image up; Podman's own short names (localhost/…) are found as well."""
        is_podman = self._host.flavour == "podman"
        for candidate in (name, f"localhost/{name}") if is_podman else (name,):
            try:
                found = self._inspect_image(candidate)
            except ImageMissing as err:
                missing = err
            else:
                digest = str(found["Id"]).removeprefix("sha256:")
                return ImageInfo(
                    id=f"sha256:{digest}",
                    name=name,
                    size_bytes=int(found["Size"]),
                    layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
                    labels=(found.get("Config") or {}).get("Labels") or {},
                )
        raise docker_errors.image_missing(missing.details or "", name) from missing

    def create(self, spec: ContainerSpec) -> ContainerId:
        """Make the container; the name and a token of this call's own make asking again safe."""
        self._check_binds(spec)
        self._make_volumes(spec)
        token = uuid.uuid4().hex
        body = docker_config.body(spec, self._host, token=token)
        try:
            return retry.passing(lambda: self._create_once(spec.name, body, token))
        except ImageMissing as err:
            raise docker_errors.image_missing(err.details or "", spec.image) from err

    def put(self, container: ContainerId, path: str, tar: Iterable[bytes]) -> None:
        pieces = (piece for piece in tar if piece)  # an empty piece would end a chunked body
        self._client.ask(
            f"unpacking into {path}", lambda api: api.put_archive(container, path, pieces)
        )

    def attach(self, container: ContainerId) -> Attached:
        hijacked = retry.passing(lambda: self._client.attach(container))
        return AttachedSocket(hijacked.sock, hijacked.release)

    def start(self, container: ContainerId) -> None:
        """Start it; starting what runs is fine. Where asking again finds nothing, say what was."""
        failures: list[EngineError] = []

        def attempt() -> None:
            try:
                self._client.ask("starting the container", lambda api: api.start(container))
            except EngineError as err:
                failures.append(err)
                raise

        try:
            retry.passing(attempt)
        except EngineError as err:
            if err is failures[0]:
                raise
            raise failures[0] from err

    def wait(self, container: ContainerId, timeout_s: float) -> int | None:
        deadline = time.monotonic() + timeout_s

        def attempt() -> Mapping[str, Any]:
            left_s = max(0.01, deadline - time.monotonic())
            return self._client.ask(
                "waiting for the container",
                lambda api: api.wait(container, timeout=left_s),  # type: ignore[arg-type]
            )

        try:
            answer = retry.passing(attempt, total_s=timeout_s)
        except NoAnswer as err:
            raise TimeoutError(f"the container did not end within {timeout_s:g} s") from err
        except Refused as err:
            if err.status == 404:
                return None
            raise
        return None if answer.get("Error") else int(answer["StatusCode"])

    def fetch(self, container: ContainerId, path: str) -> Iterator[bytes]:
        return retry.passing(lambda: self._client.archive(container, path))

    def kill(self, container: ContainerId) -> None:
        try:
            self._ask_again("killing the container", lambda api: api.kill(container))
        except Refused as err:
            if err.status not in (404, 409):  # gone, or not running
                raise

    def remove(self, container: ContainerId) -> None:
        """Remove it; where the engine is already at that, wait until it is done.

        Podman answers 500 for a container that ends while it is being killed, for as long as it
        takes to notice the end: seconds, on a busy host. See github.com/containers/podman, 16142.
        """
        try:
            retry.passing(
                lambda: self._client.ask(
                    "removing the container",
                    lambda api: api.remove_container(container, v=True, force=True),
                ),
                attempts=REMOVE_ATTEMPTS,
                total_s=GONE_WITHIN_S,
            )
        except Refused as err:
            if err.status == 404:
                return
            if err.status != 409:
                raise
            self._await_gone(container, err)

    def containers(self, label: str) -> Sequence[ContainerInfo]:
        return [_container_info(found) for found in self._list({"label": label})]

    def volumes(self, label: str) -> Sequence[VolumeInfo]:
        answer = self._ask_again(
            "listing volumes", lambda api: api.volumes(filters={"label": label})
        )
        found = answer.get("Volumes") or []
        return [VolumeInfo(name=one["Name"], labels=one.get("Labels") or {}) for one in found]

    def remove_volume(self, name: str) -> None:
        with self._lock:
            self._known_volumes.discard(name)
        try:
            self._ask_again("removing the volume", lambda api: api.remove_volume(name))
        except Refused as err:
            if err.status != 404:
                raise

    def close(self) -> None:
        self._client.close()

    @functools.cached_property
    def _host(self) -> docker_config.Host:
        info = self._ask_again("asking what it is", lambda api: api.info())
        loops = sorted(
            str(path) for path in Path("/dev").glob("loop[0-9]*") if path.is_block_device()
        )
        return docker_config.Host.from_answers(self._client.version, info, loops)

    def _ask_again(self, doing: str, question: Callable[["APIClient"], T]) -> T:
        """Ask what may be asked twice."""
        return retry.passing(lambda: self._client.ask(doing, question))

    def _inspect_image(self, name: str) -> Mapping[str, Any]:
        return self._ask_again("looking for the image", lambda api: api.inspect_image(name))  # type: ignore[no-untyped-call]

    def _create_once(self, name: str, body: docker_config.Json, token: str) -> ContainerId:
        """Create, or find that an earlier attempt did although its answer was lost."""
        try:
            answer = self._client.ask(
                "creating the container",
                lambda api: api.create_container_from_config(body, name),  # type: ignore[no-untyped-call]
            )
        except EngineError as err:
            is_taken = isinstance(err, Refused) and err.status == 409
            if not (is_taken or err.transient):
                raise
            return self._find_own(name, token, err, is_taken=is_taken)
        return str(answer["Id"])

    def _find_own(
        self, name: str, token: str, cause: EngineError, *, is_taken: bool
    ) -> ContainerId:
        for found in self._list({"name": f"^/?{re.escape(name)}$"}):
            if found["Labels"].get(docker_config.TOKEN_LABEL) == token:
                return str(found["Id"])
            raise EngineError(
                f"the name '{name}' is taken by another container",
                details=cause.details,
                hint="remove what dead runs left with containerdeploy cleanup",
            ) from cause
        if is_taken:  # by one that is half made or half gone
            raise docker_errors.busy(cause) from cause
        raise cause

    def _list(self, filters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        return self._ask_again(
            "listing containers", lambda api: api.containers(all=True, filters=dict(filters))
        )

    def _await_gone(self, container: ContainerId, cause: Refused) -> None:
        try:
            answer = self._ask_again(
                "waiting for a removal",
                lambda api: api.wait(container, timeout=GONE_WITHIN_S, condition="removed"),
            )
        except Refused as err:
            if err.status != 404:
                raise
            return
        if error := answer.get("Error"):
            details = str(error.get("Message"))
            raise EngineError("the engine failed to remove a container", details=details) from cause

    def _check_binds(self, spec: ContainerSpec) -> None:
        """Refuse a missing source for Podman, which would make an empty directory of it.

        Docker refuses by itself. Only an engine behind a local socket shares this host's files.
        """
        sources = [mount.source for mount in spec.mounts if mount.kind == "bind"]
        binds.refuse_unbindable(self._host.flavour, sources)
        if self._host.flavour != "podman" or not self._url.startswith("unix:"):
            return
        for path in sources:
            if not (binds.is_utf8(path) and Path(path).exists()):
                message = f"bind source path does not exist: {path}"
                raise docker_errors.refused(400, message, "creating the container")

    def _make_volumes(self, spec: ContainerSpec) -> None:
        """Make the named volumes that this object hasn't met yet, so that they carry a label."""
        for name in {mount.source for mount in spec.mounts if mount.kind == "volume"}:
            if name not in self._known_volumes:
                self._make_volume(name)
                with self._lock:
                    self._known_volumes.add(name)

    def _make_volume(self, name: str) -> None:
        labels = docker_config.VOLUME_LABELS
        self._ask_again("making a volume", lambda api: api.create_volume(name, labels=labels))


def _container_info(found: Mapping[str, Any]) -> ContainerInfo:
    return ContainerInfo(
        id=found["Id"],
        # A container that a daemon was killed over has no name left.
        name=next(iter(found["Names"] or ()), "").removeprefix("/"),
        labels=found["Labels"] or {},
        state=found["State"],
        created=float(found["Created"]),
    )
