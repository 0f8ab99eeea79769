"""Whoever is killed, whenever: nothing stays behind, and the next deploy is as good as ever."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import residue
import slow_source
from deploy_world import Going, World, digest
from residue import Residue
from sites import MARKS, Kind, Site

LINGER = 'if [ "$PHASE" = {phase} ]; then echo lingering; exec sleep 601; fi\n'
PHASES = ("check", "base", "configure", "write")
TAR = "tar --extract"
# Every phase on an engine of each make; where only the way to it differs, the usual one.
FULLY = ("docker", "local")
PAIRS = [
    pytest.param(kind, phase, marks=getattr(pytest.mark, mark))
    for kind, mark in MARKS.items()
    for phase in (PHASES if kind in FULLY else ("configure",))
]
at_every_phase = pytest.mark.parametrize(("site", "phase"), PAIRS, indirect=["site"])
on_each_make = pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in FULLY], indirect=True
)


@dataclass(frozen=True)
class Scene:
    """A world whose steps linger where PHASE says, what was there before, the right digest."""

    world: World
    before: Residue
    right: str

    def begin(self, phase: str) -> Going:
        """Start a deploy and return when it is in the middle of a phase."""
        site = self.world.site
        going = self.world.start("slow" if phase == "base" else "quick", f"quick.PHASE={phase}")
        going.await_step(phase)
        words = TAR if phase == "base" else "sleep 601"
        going.wait_until(lambda: bool(residue.pids(site.mark, words)), words)
        return going

    def victims(self, phase: str) -> list[int]:
        return residue.pids(self.world.site.mark, TAR if phase == "base" else "sleep 601")

    def is_as_it_was(self, phase: str) -> None:
        """Hold the machine to what it was, and the next deploy to the right digest."""
        assert self.world.site.left_since(self.before) == {}
        (base,) = self.world.site.bases()
        assert base.startswith(digest(self.world.source)), "half a base was kept"
        if phase != "base":
            again = self.world.deploy("quick")
            assert again.code == 0, str(again)
            assert digest(self.world.out / "quick.tar") == self.right


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("slow") / "slow.tar.gz"
    slow_source.write(target)
    return target


@pytest.fixture(scope="module")
def open_stage(new_world: Callable[..., World], slow: Path) -> Iterator[Callable[[Site], Scene]]:
    """Open a scene of its own on each site once, whatever the order of the tests."""
    opened: dict[Kind, Scene] = {}

    def open_it(site: Site) -> Scene:
        if site.kind not in opened:
            opened[site.kind] = made(new_world(site.sibling()), slow)
        return opened[site.kind]

    yield open_it
    for stage in opened.values():
        stage.world.site.close()


def made(world: World, slow: Path) -> Scene:
    world.extension("linger.configure", "#!/bin/sh\n" + LINGER.format(phase="configure"))
    world.extension("put.check", "#!/bin/sh\n" + LINGER.format(phase="check"))
    write = LINGER.format(phase="write") + 'exec /extensions/tar.write "$1" "$2"\n'
    world.extension("put.write", "#!/bin/sh\n" + write)
    deploy = {"type": "put", "location": "quick.tar", "PHASE": "none"}
    world.system("quick", {"quick": deploy}, "set-hostname", "linger")
    source = {"tar": str(world.site.share(slow))}
    world.system("slow", {"slow": {**deploy, "location": "slow.tar"}}, source=source)
    first = world.deploy("quick")
    assert first.code == 0, str(first)
    return Scene(world, world.site.residue(), digest(world.out / "quick.tar"))


@pytest.fixture
def scene(site: Site, open_stage: Callable[[Site], Scene]) -> Iterator[Scene]:
    stage = open_stage(site)
    yield replace(stage, before=stage.world.site.residue())
    stage.world.end_all()


@at_every_phase
def test_killing_the_controller_takes_everything_with_it(scene: Scene, phase: str) -> None:
    going = scene.begin(phase)
    going.process.kill()
    assert going.end().code == -signal.SIGKILL
    scene.is_as_it_was(phase)


@at_every_phase
def test_killing_the_helper_is_a_failure_that_says_so(scene: Scene, phase: str) -> None:
    going = scene.begin(phase)
    scene.world.site.kill_helpers()
    ended = going.end()
    assert ended.code == 1, str(ended)
    assert "the helper went away before it was finished" in ended.out
    assert ended.happenings[-1]["leftovers"] == []
    scene.is_as_it_was(phase)


@at_every_phase
def test_killing_what_runs_is_a_failure_of_that_step(scene: Scene, phase: str) -> None:
    going = scene.begin(phase)
    for pid in scene.victims(phase):
        with suppress(ProcessLookupError):  # the extracting tar's other half dies of its death
            os.kill(pid, signal.SIGKILL)
    ended = going.end()
    assert ended.code == 1, str(ended)
    (step,) = ended.steps(phase)[-1:]
    assert step["outcome"] == ("failed" if phase == "base" else "killed")
    scene.is_as_it_was(phase)


@at_every_phase
def test_one_interrupt_tears_down_in_order(scene: Scene, phase: str) -> None:
    going = scene.begin(phase)
    os.killpg(going.process.pid, signal.SIGINT)
    ended = going.end()
    assert ended.code == 130, str(ended)
    ends = [one["happening"] for one in ended.happenings[-2:]]
    assert ends == ["SystemFinished", "RunFinished"]
    assert ended.happenings[-2]["outcome"] == "interrupted"
    assert "Traceback" not in ended.out
    scene.is_as_it_was(phase)


@on_each_make
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_that_end_programs_tear_down_too(
    scene: Scene, number: signal.Signals
) -> None:
    going = scene.begin("configure")
    going.signal(number)
    ended = going.end()
    assert ended.code in (130, -number), str(ended)
    scene.is_as_it_was("configure")


def test_two_interrupts_leave_nothing_either(scene: Scene) -> None:
    going = scene.begin("configure")
    os.killpg(going.process.pid, signal.SIGINT)
    os.killpg(going.process.pid, signal.SIGINT)
    ended = going.end()
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.out
    scene.is_as_it_was("configure")


@on_each_make
def test_the_slow_source_can_be_unpacked_after_all(scene: Scene) -> None:
    ended = scene.world.deploy("slow")
    assert ended.code == 0, str(ended)
    assert ended.unpacks() == 1
