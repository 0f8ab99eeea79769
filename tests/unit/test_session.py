"""A helper's life where its engine fails at the start of it."""

from typing import BinaryIO

import pytest
import run_story
from fake_engine import FakeEngine, Write

from containerdeploy import wire
from containerdeploy.engine import ContainerId, ContainerSpec, docker_errors
from containerdeploy.errors import EngineError, Stillborn
from containerdeploy.helper.session import STILLBIRTHS, Order, Session

RUNC = "runc create failed: unable to start container process: error during container init: "
LOST = f'OCI runtime create failed: {RUNC}writing syncT "procResume": write init-p: broken pipe'
LASTING = f'OCI runtime create failed: {RUNC}exec: "python3": executable file not found in $PATH'


class Nursery(FakeEngine):
    """An engine whose first `stillbirths` containers end before they say anything."""

    def __init__(self, message: str, stillbirths: int) -> None:
        super().__init__(_agent, images=["helper"])
        self._message = message
        self._stillbirths = stillbirths
        self.begun = 0

    def start(self, container: ContainerId) -> None:
        self.begun += 1
        if self.begun <= self._stillbirths:
            raise docker_errors.refused(500, self._message, "starting the container")
        super().start(container)


def _agent(stdin: BinaryIO, stdout: Write, *_: object) -> int:
    stdout(wire.encode(run_story.hello(nonce="nonce")))
    stdout(wire.encode(wire.Finished(outcome="ok")))
    return 0


def run(engine: FakeEngine) -> wire.Finished:
    order = Order(
        container=ContainerSpec(name="helper", image="helper", argv=["agent"]),
        job=wire.Job(kind="probe", run=run_story.hello().run),
        nonce="nonce",
        hear=lambda _: None,
        take=lambda *_: None,
    )
    return Session(engine, order).run()


def test_a_helper_that_the_engine_lost_at_its_start_is_made_anew() -> None:
    engine = Nursery(LOST, STILLBIRTHS)
    assert run(engine).outcome == "ok"
    assert engine.begun == STILLBIRTHS + 1
    assert not engine.containers("containerdeploy")


def test_losing_one_helper_after_the_other_has_an_end() -> None:
    engine = Nursery(LOST, STILLBIRTHS + 1)
    with pytest.raises(Stillborn, match="failed while starting"):
        run(engine)
    assert engine.begun == STILLBIRTHS + 1


def test_a_start_that_can_not_succeed_is_not_tried_again() -> None:
    engine = Nursery(LASTING, 1)
    with pytest.raises(EngineError, match="failed while starting"):
        run(engine)
    assert engine.begun == 1
