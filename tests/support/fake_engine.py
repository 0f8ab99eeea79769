"""An engine in memory whose containers are Python callables; held to the contract like the others.

    def behaviour(stdin, stdout, stderr, spec):
        for line in stdin:
            stdout(line.upper())
        return 0

    engine = FakeEngine(behaviour)

A behaviour runs in a thread and returns the exit code (None counts as 0); what it raises is exit
code 1 with the text on stderr. A kill reaches it at its next read or write.
"""

import hashlib
import io
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from fake_files import Files, Volumes
from fake_streams import FakeStdin, FakeStreams, Killed

from containerdeploy.engine.base import (
    Attached,
    ContainerId,
    ContainerInfo,
    ContainerSpec,
    EngineInfo,
    ImageInfo,
    VolumeInfo,
)
from containerdeploy.errors import EngineError, ImageMissing

Write = Callable[[bytes], None]
Behaviour = Callable[[BinaryIO, Write, Write, ContainerSpec], int | None]


class FakeContainer:
    """One container: its spec, streams and files, and the thread that it is."""

    def __init__(self, spec: ContainerSpec, named: Mapping[str, Files]) -> None:
        self.id = uuid.uuid4().hex
        self.spec = spec
        self.streams = FakeStreams()
        self.volumes = Volumes(spec.mounts, named)
        self.created = time.time()
        self.state = "created"
        self.exit_code = 0
        self.ended = threading.Event()

    def start(self, behaviour: Behaviour, at_end: Callable[[], None]) -> None:
        self.state = "running"
        threading.Thread(target=self._live, args=(behaviour, at_end), daemon=True).start()

    def _live(self, behaviour: Behaviour, at_end: Callable[[], None]) -> None:
        self.exit_code = self._run(behaviour)
        self.state = "exited"
        at_end()
        self.streams.end()
        self.ended.set()

    def _run(self, behaviour: Behaviour) -> int:
        put = self.streams.put_output
        stdin = io.BufferedReader(FakeStdin(self.streams))
        try:
            code = behaviour(
                stdin,
                lambda data: put("stdout", data),
                lambda data: put("stderr", data),
                self.spec,
            )
        except Killed:
            return 137
        except Exception as err:  # a failing program, as far as the engine is concerned
            put("stderr", f"{type(err).__name__}: {err}\n".encode())
            return 1
        return code or 0


class FakeEngine:
    """An engine.base.Engine; `failures` holds an error to raise, once, by the verb's name."""

    def __init__(self, behaviour: Behaviour, *, images: Sequence[str] = ("fake-image",)) -> None:
        self.behaviour = behaviour
        self.images = set(images)
        self.failures: dict[str, EngineError] = {}
        self._lock = threading.Lock()
        self._containers: dict[ContainerId, FakeContainer] = {}
        self._volumes: dict[str, Files] = {}

    def describe(self) -> EngineInfo:
        return EngineInfo(
            flavour="fake", address="memory", version="1", api_version="1", kernel="none"
        )

    def image(self, name: str) -> ImageInfo:
        self._fail_if_asked("image")
        digest = hashlib.sha256(name.encode()).hexdigest()
        if name not in self.images | {f"sha256:{digest}"}:
            raise ImageMissing(f"image '{name}' is not on the engine", hint="`make image`")
        self.images.add(f"sha256:{digest}")
        return ImageInfo(id=f"sha256:{digest}", name=name, size_bytes=0)

    def create(self, spec: ContainerSpec) -> ContainerId:
        self._fail_if_asked("create")
        self.image(spec.image)
        for mount in spec.mounts:
            if mount.kind == "bind" and not Path(mount.source).exists():
                raise EngineError(f"bind source '{mount.source}' is not on the engine's host")
        with self._lock:
            if any(other.spec.name == spec.name for other in self._containers.values()):
                raise EngineError(f"the name '{spec.name}' is taken by another container")
            for mount in spec.mounts:
                if mount.kind == "volume":
                    self._volumes.setdefault(mount.source, {})
            container = FakeContainer(spec, self._volumes)
            self._containers[container.id] = container
        return container.id

    def put(self, container: ContainerId, path: str, tar: Iterable[bytes]) -> None:
        self._fail_if_asked("put")
        self.find(container).volumes.unpack(path, tar)

    def attach(self, container: ContainerId) -> Attached:
        self._fail_if_asked("attach")
        return self.find(container).streams

    def start(self, container: ContainerId) -> None:
        self._fail_if_asked("start")
        found = self.find(container)
        with self._lock:
            if found.state != "created":
                return
            found.start(self.behaviour, lambda: self._at_end(found))

    def wait(self, container: ContainerId, timeout_s: float) -> int | None:
        with self._lock:
            found = self._containers.get(container)
        if found is None:
            return None
        if not found.ended.wait(timeout_s):
            raise TimeoutError(f"the container did not end within {timeout_s:g} s")
        return found.exit_code

    def fetch(self, container: ContainerId, path: str) -> Iterator[bytes]:
        self._fail_if_asked("fetch")
        return self.find(container).volumes.pack(path)

    def kill(self, container: ContainerId) -> None:
        with self._lock:
            found = self._containers.get(container)
        if found is not None and found.state == "running":
            found.streams.kill()

    def remove(self, container: ContainerId) -> None:
        self.kill(container)
        with self._lock:
            found = self._containers.pop(container, None)
        if found is not None:
            found.streams.end()

    def containers(self, label: str) -> Sequence[ContainerInfo]:
        with self._lock:
            return [
                ContainerInfo(
                    id=one.id,
                    name=one.spec.name,
                    labels=dict(one.spec.labels),
                    state=one.state,
                    created=one.created,
                )
                for one in self._containers.values()
                if _carries(one.spec.labels, label)
            ]

    def volumes(self, label: str) -> Sequence[VolumeInfo]:
        labels = {"containerdeploy": "store"}
        with self._lock:
            names = list(self._volumes) if _carries(labels, label) else []
        return [VolumeInfo(name=name, labels=labels) for name in names]

    def remove_volume(self, name: str) -> None:
        with self._lock:
            self._volumes.pop(name, None)

    def close(self) -> None:
        with self._lock:
            containers = list(self._containers)
        for container in containers:
            self.remove(container)

    def find(self, container: ContainerId) -> FakeContainer:
        """Give a test the container itself, to look into or to plant files in its volumes."""
        with self._lock:
            if found := self._containers.get(container):
                return found
        raise EngineError("the engine failed", details=f"no such container: {container}")

    def named(self, name: str) -> FakeContainer:
        """Give the container of this name, for a behaviour that knows only its spec."""
        with self._lock:
            return next(one for one in self._containers.values() if one.spec.name == name)

    def _fail_if_asked(self, verb: str) -> None:
        if error := self.failures.pop(verb, None):
            raise error

    def _at_end(self, container: FakeContainer) -> None:
        if not container.spec.keep:
            with self._lock:
                self._containers.pop(container.id, None)


def _carries(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
