"""Warm deploys: the base in the store, five small extensions, a tar file out."""

from itertools import count

from tests.bench import rows, timing
from tests.bench.engines import Docker, Local
from tests.bench.rows import Row
from tests.bench.world import World

DOCKER_TARGET = 1.5
LOCAL_FACTOR, LOCAL_S = 1.3, 0.3


def on_docker(world: World, engine: Docker, pairs: int) -> Row:
    """Hold a deploy to a container that does nothing and GNU tar of the same tree."""
    warm = _Warm(world, engine)
    measured = timing.pairs(pairs, warm.deploy, lambda: engine.noop() + warm.tar())
    engine.remove_volume(warm.environment["CONTAINERDEPLOY_STORE"])
    return rows.ratio(
        "warm deploy, docker", measured, DOCKER_TARGET, "deploy / (docker run of true + GNU tar)"
    )


def on_local(world: World, engine: Local, pairs: int) -> Row:
    """Hold a deploy to GNU tar of the same tree, and a little more."""
    warm = _Warm(world, engine)
    measured = timing.pairs(pairs, warm.deploy, lambda: LOCAL_FACTOR * warm.tar() + LOCAL_S)
    words = f"deploy / ({LOCAL_FACTOR} x GNU tar + {LOCAL_S} s)"
    return rows.ratio("warm deploy, local", measured, 1.0, words)


class _Warm:
    """Both sides write to files that were not there; what they wrote is removed untimed."""

    def __init__(self, world: World, engine: Docker | Local) -> None:
        self._world = world
        self._engine = engine
        self._numbers = count()
        self.environment = world.environment(f"{engine.name}-warm")
        self.deploy()

    def deploy(self) -> float:
        world, output = self._world, self._world.fresh("output")
        events = world.root / f"events-{next(self._numbers)}"
        argv = world.deploy(self._engine.url, world.debian, output=output, events=events)
        taken_s = timing.seconds(argv, self.environment)
        world.fresh("output")
        return taken_s

    def tar(self) -> float:
        world, output = self._world, self._world.fresh("output")
        tree = world.tree
        taken_s = timing.seconds(["tar", "-C", tree, "-cf", output / "node.tar", "."])
        world.fresh("output")
        return taken_s
