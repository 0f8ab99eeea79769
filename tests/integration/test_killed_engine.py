"""dockerd itself is killed in the middle of a deploy, and started again on what it left."""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import residue
import sites
import slow_source
from deploy_world import Ended, Going, World, digest
from kill_rounds import FIRST_SEED, ROUNDS, Stage, staged, tiny_sources
from residue import Residue
from sites import Site

from containerdeploy import wire
from tests import daemons, leftovers

pytestmark = pytest.mark.docker

IMAGE = "containerdeploy-helper:latest"
AGENT = "containerdeploy.agent.boot"
LINGER = '#!/bin/sh\n[ "$STAY" = no ] || exec sleep 603\n'
CLEANUP_S = 10.0


@dataclass(kw_only=True)
class Daemon:
    """A dockerd of this test's own; `place` bears a word that all it starts bears too."""

    place: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> str:
        return self.stack.enter_context(daemons.docker_daemon(self.place))

    def kill(self) -> None:
        os.kill(int((self.place / "pid").read_text()), signal.SIGKILL)
        self.stack.close()

    def stop(self) -> None:
        """End it as a restart would: it stops its containers first."""
        self.stack.close()

    def at_work(self) -> list[str]:
        """What it has for containers: their mounts and their shims."""
        own = str(self.place / "data")  # mounted on itself for as long as there is a dockerd
        mounts = [one for one in leftovers.mounts_below(self.place) if one != own]
        shims = residue.pids(self.place.name, "containerd-shim")
        return [*mounts, *map(residue.command, shims)]

    def take_away(self) -> None:
        self.stack.close()
        for pid in residue.marked_pids(self.place.name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        leftovers.take_away(self.place)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A daemon to kill, a world on it, its store, what was there before, the right digest."""

    daemon: Daemon
    world: World
    store: Path | None
    before: Residue
    right: str

    def killed(self, system: str, phase: str, words: str) -> Going:
        """Start a deploy, and kill dockerd in the middle of a phase."""
        going = self.world.start(system, "quick.STAY=yes")
        going.await_step(phase)
        going.wait_until(lambda: bool(residue.pids(self.world.site.mark, words)), words)
        self.daemon.kill()
        return going

    def is_as_it_was(self) -> None:
        """Clean up once; all must be as before, and the next deploy find its base in the store."""
        cleaned = self.world.command("cleanup")
        assert cleaned.code == 0, str(cleaned)
        assert self.world.site.left_since(self.before) == {}
        await_none(self.daemon.at_work, residue.SETTLED_WITHIN_S)
        again = self.world.deploy("quick")
        assert again.code == 0, str(again)
        assert again.unpacks() == 0
        assert digest(self.world.out / "quick.tar") == self.right


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("only root can start a dockerd, where there is one")
    place = Path(tempfile.mkdtemp(prefix="containerdeploy-killed-", dir="/var/tmp"))
    daemon = Daemon(place=place)
    try:
        yield daemon
    finally:
        daemon.take_away()


@pytest.fixture(scope="module")
def scene(
    daemon: Daemon,
    open_site: Callable[[sites.Kind], Site],
    new_world: Callable[..., World],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    site = sites.opened("docker", daemon.start())
    with open_site("docker").client() as usual, site.client() as own:
        list(own.load_image(usual.get_image(IMAGE)))
    slow = tmp_path_factory.mktemp("slow") / "slow.tar.gz"
    slow_source.write(slow)
    world = new_world(site)
    world.extension("linger.configure", LINGER)
    deploy = {"type": "tar", "location": "quick.tar", "STAY": "no"}
    world.system("quick", {"quick": deploy}, "linger")
    world.system("slow", {"slow": {**deploy, "location": "slow.tar"}}, source={"tar": str(slow)})
    first = world.deploy("quick")
    assert first.code == 0, str(first)
    right = digest(world.out / "quick.tar")
    before, store = site.residue(), site.store()
    yield Scene(daemon=daemon, world=world, store=store, before=before, right=right)
    world.end_all()
    shutil.rmtree(site.directory)


@pytest.fixture(scope="module")
def stage(
    scene: Scene, new_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Four systems on the same daemon."""
    site = sites.opened("docker", scene.world.site.engine)
    first, second = tiny_sources(tmp_path_factory.mktemp("tiny"))
    stage = staged(new_world(site), (site.share(first), site.share(second)))
    yield stage
    stage.world.end_all()
    shutil.rmtree(site.directory)


def await_none(look: Callable[[], Sequence[object]], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while left := look():
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(residue.POLL_S)


def is_told(ended: Ended, daemon: Daemon) -> None:
    assert ended.code == 1, str(ended)
    assert "Traceback" not in ended.out
    assert "the connection to the engine broke before the helper was finished" in ended.out
    assert f"cannot reach the container engine at unix://{daemon.place}/docker.sock" in ended.out
    assert "containerdeploy cleanup removes it" in ended.out


def test_a_killed_engine_is_a_clear_error_and_its_helper_goes_by_itself(scene: Scene) -> None:
    """Nobody closes the helper's stdin then: it is the heartbeat that the agent misses."""
    going = scene.killed("quick", "configure", "sleep 603")
    killed = time.monotonic()
    is_told(going.end(), scene.daemon)
    mark = scene.world.site.mark
    assert time.monotonic() - killed < wire.LEASE_S, "the controller outlived the helper's lease"
    assert residue.pids(mark, AGENT), "it was no heartbeat that ended the helper"
    left_s = wire.LEASE_S + CLEANUP_S - (time.monotonic() - killed)
    await_none(lambda: residue.pids(mark, AGENT) + residue.pids(mark, "sleep 603"), left_s)
    assert residue.workspaces(scene.store) == frozenset()
    scene.daemon.start()
    scene.is_as_it_was()


def test_an_engine_that_is_back_at_once_ends_the_helper_itself(scene: Scene) -> None:
    """It does so by force, in the middle of an unpacking: the rest is for cleanup."""
    going = scene.killed("slow", "base", "tar --extract")
    is_told(going.end(), scene.daemon)
    scene.daemon.start()
    assert residue.pids(scene.world.site.mark, AGENT) == []
    scene.is_as_it_was()
    assert len(scene.world.site.bases()) == 1, "half a base was kept"


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + int(ROUNDS or 1)))
def test_an_engine_that_ends_at_any_moment_costs_one_cleanup(
    daemon: Daemon, stage: Stage, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed or stopped, back at once or later: odd seeds kill, even ones stop."""
    chance = random.Random(f"dockerd {seed}")
    going = stage.world.start("--jobs=4")
    time.sleep(chance.uniform(0, stage.length_s))
    (daemon.kill if seed % 2 else daemon.stop)()
    ended = going.end()
    assert ended.code in (0, 1, 3), str(ended)
    assert "Traceback" not in ended.out
    time.sleep(chance.choice((0, 0, 3)))
    daemon.start()
    cleaned = stage.world.command("cleanup")
    assert cleaned.code == 0, str(cleaned)
    stage.is_as_it_was("dockerd", since=time.monotonic())
    with capsys.disabled():
        print(f"\n{stage.settling('dockerd')}")
