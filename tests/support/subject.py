"""An engine under the contract: it, an image that it has, and containers that end with the test."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from programs import PROGRAMS, shell

from containerdeploy.engine.base import Attached, ContainerId, ContainerSpec, Engine

Kind = Literal["fake", "docker", "podman", "local"]
LABEL = "containerdeploy.contract"


@dataclass(frozen=True)
class Ended:
    """What a container said, and its exit code where the engine still knew it."""

    stdout: bytes
    stderr: bytes
    code: int | None


@dataclass(kw_only=True)
class Subject:
    """One engine under test; `url` is empty for those without an API."""

    kind: Kind
    engine: Engine
    image: str
    url: str = ""
    test: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def spec(self, program: str, **changes: object) -> ContainerSpec:
        """Make the spec of a container that runs `program`: a name of ours, or shell text."""
        known = PROGRAMS.get(program)
        values: dict[str, object] = {
            "name": f"contract-{self.test}-{uuid.uuid4().hex[:8]}",
            "image": self.image,
            "argv": known.argv if known else shell(program),
            "labels": {LABEL: self.test},
        }
        return ContainerSpec(**(values | changes))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def running(self, program: str, **changes: object) -> Iterator[tuple[ContainerId, Attached]]:
        """Create, attach and start; close and remove at the end."""
        container = self.engine.create(self.spec(program, **changes))
        try:
            attached = self.engine.attach(container)
            try:
                self.engine.start(container)
                yield container, attached
            finally:
                attached.close()
        finally:
            self.engine.remove(container)

    def run(self, program: str, **changes: object) -> Ended:
        """Run to the end, nothing on stdin."""
        with self.running(program, **({"keep": True} | changes)) as (container, attached):
            output = read_all(attached)
            return Ended(output["stdout"], output["stderr"], self.engine.wait(container, 20))

    def text(self, program: str, **changes: object) -> str:
        """Run to the end and give what it printed; it must succeed."""
        ended = self.run(program, **changes)
        assert ended.code == 0, ended
        return ended.stdout.decode()

    def sweep(self) -> None:
        """Remove what a failed test left."""
        for container in self.engine.containers(f"{LABEL}={self.test}"):
            self.engine.remove(container.id)


def read_all(attached: Attached, *, within_s: float = 30) -> dict[str, bytes]:
    """Read both streams to their end."""
    output = {"stdout": bytearray(), "stderr": bytearray()}
    deadline = time.monotonic() + within_s
    while piece := attached.read(deadline - time.monotonic()):
        output[piece[0]] += piece[1]
    return {name: bytes(data) for name, data in output.items()}


def read_until(attached: Attached, count: int, *, within_s: float = 30) -> dict[str, bytes]:
    """Read until `count` bytes have come, on both streams together."""
    output = {"stdout": bytearray(), "stderr": bytearray()}
    deadline = time.monotonic() + within_s
    while sum(map(len, output.values())) < count:
        piece = attached.read(deadline - time.monotonic())
        assert piece, f"the streams ended after {output}"
        output[piece[0]] += piece[1]
    return {name: bytes(data) for name, data in output.items()}
