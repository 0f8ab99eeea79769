"""The local engine: containers on this machine without a daemon, of this machine's own tools.

A container is a process (`runtime.py`, the launcher) and what that makes. What several controllers
must know of it lies in a directory, so that any of them can list, kill and remove it:

    HOME/containers/ID/   a container while it exists (see runtime_directory)
    HOME/volumes/NAME/    a named volume

Its root shows /usr and what that needs to run, read-only, and nothing else of the host.
"""

import contextlib
import errno
import functools
import hashlib
import json
import os
import tarfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from containerdeploy import __version__, images
from containerdeploy.engine import (
    runtime_cgroups,
    runtime_directory,
    runtime_identity,
    runtime_removal,
    runtime_spec,
    runtime_tools,
    runtime_volumes,
)
from containerdeploy.engine.base import (
    Attached,
    ContainerId,
    ContainerInfo,
    ContainerSpec,
    EngineInfo,
    ImageInfo,
    VolumeInfo,
)
from containerdeploy.engine.runtime_handle import Handle
from containerdeploy.errors import EngineError, ImageMissing

VOLUME_LABELS = {"containerdeploy": "store"}
_OWN_NAMES = ("host", "local")


class LocalEngine:
    """An engine.base.Engine; `home` is its directory, its own alone."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._containers = self._home / "containers"
        self._volumes = self._home / "volumes"
        self._lock = threading.Lock()
        self._handles: dict[ContainerId, Handle] = {}

    def describe(self) -> EngineInfo:
        """Say what it is; `version` tells how limits are kept: cgroup-v1, cgroup-v2 or rlimits."""
        limits = runtime_cgroups.find(enable=False).kind
        return EngineInfo(
            flavour="local",
            address=str(self._home),
            version=f"{__version__} ({limits})",
            api_version="none",
            kernel=os.uname().release,
            rootless=runtime_identity.is_rootless(),
        )

    def image(self, name: str) -> ImageInfo:
        """Return the one there is: this host's tools, identified by its release and packages."""
        digest, labels = self._tools
        if name not in (*_OWN_NAMES, digest) and not images.own(name):
            raise ImageMissing(
                f"image '{name}' is not on the engine",
                details="the local engine has no images: its containers see this host's tools",
                hint="use docker, or leave the system's image out",
            )
        return ImageInfo(id=digest, name=name, size_bytes=0, labels=labels)

    def create(self, spec: ContainerSpec) -> ContainerId:
        """Make the container, all but its program's start."""
        self.image(spec.image)
        directory = self._containers / _key(spec.name)
        container = f"{directory.name}-{uuid.uuid4().hex[:12]}"
        order = runtime_spec.order(spec, container, directory, self._volumes)
        lock = self._make_directory(spec, container, directory)
        try:
            handle = Handle(spec, directory, order, lock=lock)
        except OSError as err:
            os.close(lock)
            runtime_removal.remove(directory)
            raise _failed("creating the container", err) from err
        os.close(lock)
        with self._lock:
            self._handles[container] = handle
        return container

    def put(self, container: ContainerId, path: str, tar: Iterable[bytes]) -> None:
        content = self._find(container, path)
        if content is None or content.read_only:
            brief = f"the engine can't write to '{path}': the place is read-only"
            raise EngineError(brief, hint="write into a volume of the container")
        try:
            runtime_volumes.unpack(content.volume, content.inside, tar)
        except (OSError, tarfile.TarError) as err:
            raise _failed(f"unpacking into {path}", err) from err

    def attach(self, container: ContainerId) -> Attached:
        return self._handle(container).attach()

    def start(self, container: ContainerId) -> None:
        self._handle(container).start()

    def wait(self, container: ContainerId, timeout_s: float) -> int | None:
        with self._lock:
            handle = self._handles.get(container)
        if handle is not None:
            return handle.wait(timeout_s)
        directory = self._directory(container)
        if directory is None:
            return None
        if not runtime_removal.wait_unlocked(directory, timeout_s):
            raise TimeoutError(f"the container did not end within {timeout_s:g} s")
        code = runtime_directory.read(str(directory), "exit")
        return int(code) if code else None

    def fetch(self, container: ContainerId, path: str) -> Iterator[bytes]:
        content = self._find(container, path)
        if content is None:
            raise EngineError(f"'{path}' is not in a volume of the container")
        try:
            yield from runtime_volumes.pack(content.volume, content.inside)
        except OSError as err:
            raise _failed(f"fetching {path}", err) from err

    def kill(self, container: ContainerId) -> None:
        if directory := self._directory(container):
            runtime_removal.kill(directory)

    def remove(self, container: ContainerId) -> None:
        with self._lock:
            handle = self._handles.pop(container, None)
        if directory := self._directory(container):
            runtime_removal.remove(directory)
        if handle is not None:
            handle.release()

    def containers(self, label: str) -> Sequence[ContainerInfo]:
        runtime_removal.sweep(self._containers)
        found = []
        for path in sorted(self._containers.glob("[!.]*")):
            record = _read_record(path)
            if record and _carries(record["labels"], label):
                found.append(
                    ContainerInfo(
                        id=record["id"],
                        name=record["name"],
                        labels=record["labels"],
                        state=_state(path),
                        created=record["created"],
                    )
                )
        return found

    def volumes(self, label: str) -> Sequence[VolumeInfo]:
        if not _carries(VOLUME_LABELS, label):
            return []
        names = sorted(path.name for path in self._volumes.glob("[!.]*"))
        return [VolumeInfo(name=name, labels=VOLUME_LABELS) for name in names]

    def remove_volume(self, name: str) -> None:
        """Remove it; EngineError while a container has it."""
        volume = runtime_spec.volume(name, self._volumes)
        for path in self._containers.glob("[!.]*"):
            record = _read_record(path)
            if record and name in record["volumes"]:
                brief = f"the volume '{name}' is in use by container '{record['name']}'"
                raise EngineError(brief, hint="remove the container first")
        with contextlib.suppress(FileNotFoundError):
            runtime_removal.remove_tree(Path(runtime_directory.put_aside(str(volume))))

    def close(self) -> None:
        """Remove this controller's containers; whatever others have is theirs."""
        with self._lock:
            containers = list(self._handles)
        for container in containers:
            self.remove(container)

    @functools.cached_property
    def _tools(self) -> tuple[str, Mapping[str, str]]:
        return runtime_tools.digest(), runtime_tools.labels()

    def _make_directory(self, spec: ContainerSpec, container: str, directory: Path) -> int:
        """Make the directory under another name, then take the name with a rename; return its lock.

        The lock is held before anybody can find the directory: what is not locked is dead.
        """
        new = self._containers / f"{runtime_removal.NEW}{uuid.uuid4().hex}"
        try:
            for path in (self._home, self._containers, self._volumes, new, new / "root"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = runtime_directory.lock(str(new))
        except OSError as err:
            raise _failed("creating the container", err) from err
        try:
            self._fill_directory(spec, container, new)
            new.rename(directory)
        except OSError as err:
            os.close(lock)
            runtime_removal.remove_tree(new)
            if err.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise _failed("creating the container", err) from err
            brief = f"the name '{spec.name}' is taken by another container"
            hint = "remove what dead runs left with containerdeploy cleanup"
            raise EngineError(brief, details=str(err), hint=hint) from err
        return lock

    def _fill_directory(self, spec: ContainerSpec, container: str, new: Path) -> None:
        names = sorted({mount.source for mount in spec.mounts if mount.kind == "volume"})
        record = {
            "id": container,
            "name": spec.name,
            "labels": dict(spec.labels),
            "created": time.time(),
            "volumes": names,
        }
        runtime_directory.write(str(new), "record.json", json.dumps(record))
        for name in names:
            runtime_spec.volume(name, self._volumes).mkdir(mode=0o700, exist_ok=True)
        for number, mount in enumerate(spec.mounts):
            if mount.kind == "anonymous":
                volume = new / "volumes" / str(number)
                volume.mkdir(parents=True)
                volume.chmod(mount.mode)

    def _directory(self, container: ContainerId) -> Path | None:
        """Return the container's directory, None when it is gone; its name may be another's now."""
        directory = self._containers / container.rpartition("-")[0]
        return directory if _read_record(directory).get("id") == container else None

    def _handle(self, container: ContainerId) -> Handle:
        with self._lock:
            handle = self._handles.get(container)
        if handle is None:
            details = f"no such container of this controller: {container}"
            raise EngineError("the container is gone", details=details)
        return handle

    def _find(self, container: ContainerId, path: str) -> runtime_spec.Content | None:
        handle = self._handle(container)
        return runtime_spec.find(handle.spec, path, handle.directory, self._volumes)


def _key(name: str) -> str:
    """Return the name of the container's directory: one container has a name at a time."""
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _read_record(directory: Path) -> Mapping[str, Any]:
    """Return what record.json holds; nothing when the container is gone."""
    text = runtime_directory.read(str(directory), "record.json")
    record: Mapping[str, Any] = json.loads(text) if text else {}
    return record


def _state(directory: Path) -> str:
    """Return a container's state in Docker's words."""
    if runtime_directory.is_locked(str(directory)):
        return "running" if (directory / "started").exists() else "created"
    return "exited" if (directory / "exit").exists() else "dead"


def _carries(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _failed(doing: str, cause: Exception) -> EngineError:
    return EngineError(f"the local engine failed while {doing}", details=str(cause))
